/**
 * The package as `npm pack` makes it, unpacked where `npm install` would put it: a directory of somebody else's, with the other
 * packages that it names and no more.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { builtPackage } from './built.ts'
import { scratchDirectory } from './scratch.ts'

const ROOT = resolve(import.meta.dirname, '../..')

export interface Elsewhere {
  readonly directory: string
  remove(): void
}

/** @param others packages beside it, taken from this checkout's */
export function installedElsewhere(others: readonly string[]): Elsewhere {
  const directory = scratchDirectory('errand-elsewhere-')
  const staged = join(directory, 'staged')
  const modules = join(directory, 'node_modules')
  mkdirSync(staged)
  mkdirSync(modules)
  cpSync(join(ROOT, 'package.json'), join(staged, 'package.json'))
  cpSync(join(ROOT, 'README.md'), join(staged, 'README.md'))
  cpSync(builtPackage(), join(staged, 'dist'), { recursive: true })
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent'], { cwd: staged, encoding: 'utf8' })
  execFileSync('tar', ['-xzf', join(staged, packed.trim()), '-C', modules])
  execFileSync('mv', [join(modules, 'package'), join(modules, 'errand')])
  rmSync(staged, { recursive: true })
  for (const name of others) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) }
}
