/**
 * What `npm run build` makes of the sources as they are: compiled once, for all who look at it, as long as no source changes.
 * Inside the checkout, so that it finds the dependencies that are installed. To be read, or copied, and not to be changed.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
const CACHE = join(ROOT, 'node_modules/.cache')
const BUILT = 'errand-built-'

/** @returns the directory that stands for `dist` */
export function builtPackage(): string {
  const built = join(CACHE, `${BUILT}${digestOfSources()}`)
  if (existsSync(built)) return built
  mkdirSync(CACHE, { recursive: true })
  for (const name of readdirSync(CACHE)) {
    if (name.startsWith(BUILT)) rmSync(join(CACHE, name), { recursive: true, force: true })
  }
  const fresh = mkdtempSync(join(CACHE, 'errand-building-'))
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', 'src/tsconfig.build.json', '--outDir', fresh], { cwd: ROOT })
  try {
    renameSync(fresh, built)
  } catch (error) {
    // Another process was faster with the same.
    if (!existsSync(built)) throw error
    rmSync(fresh, { recursive: true, force: true })
  }
  return built
}

function digestOfSources(): string {
  const digest = createHash('sha256')
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).map((name) => join('src', name))
  for (const path of ['tsconfig.json', 'package-lock.json', ...sources.sort()]) {
    if (/\.(ts|json)$/.test(path)) digest.update(`${path}\0`).update(readFileSync(join(ROOT, path)))
  }
  return digest.digest('hex').slice(0, 20)
}
