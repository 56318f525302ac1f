/** Where the public test vectors are: `ERRAND_VECTORS`, or `../shared/vectors` beside the project. They are not copied here. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const FOLDER = process.env['ERRAND_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url))

const warned = new Set<string>()

/** The document, or `undefined` after saying aloud that its tests are skipped and where the public project is. */
export function readVectors(file: string, publicProject: string): unknown {
  const path = join(FOLDER, file)
  if (existsSync(path))
    return path.endsWith('.yaml') ? parse(readFileSync(path, 'utf8')) : JSON.parse(readFileSync(path, 'utf8'))
  if (!warned.has(path))
    console.warn(`SKIPPED: no ${path}. Get it from ${publicProject} and name its folder in ERRAND_VECTORS.`)
  warned.add(path)
  return undefined
}
