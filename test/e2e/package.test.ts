import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { builtPackage } from '../support/built.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  bin: Record<string, string>
  exports: Record<string, { types: string; default: string }>
}

describe('the package as it is published', () => {
  let built: string
  beforeAll(() => {
    built = builtPackage()
  }, 300_000)

  const inBuild = (path: string) => join(built, path.replace('./dist/', '').replace(/^dist\//, ''))

  test('every export and the command are there, with types', () => {
    const files = Object.values(PACKAGE.exports).flatMap((entry) => [entry.types, entry.default])
    const missing = [...files, ...Object.values(PACKAGE.bin)].filter((path) => !existsSync(inBuild(path)))
    expect(missing).toEqual([])
  })

  test('what the README tells an MCP server to import can be imported', async () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
    const shown = [...readme.matchAll(/import \{ ([^}]+) \} from 'errand(\/[a-z/-]+)'/g)]
    expect(shown.length).toBeGreaterThan(1)
    for (const [, names = '', path = ''] of shown) {
      const entry = PACKAGE.exports[`.${path}`]
      expect(entry, path).toBeDefined()
      const module = (await import(pathToFileURL(inBuild(entry?.default ?? '')).href)) as Record<string, unknown>
      for (const name of names.split(',')) expect(module[name.trim()], name).toBeTypeOf('function')
    }
  })

  test('the command runs as compiled', () => {
    const help = execFileSync(process.execPath, [inBuild(PACKAGE.bin['errand'] ?? ''), 'help'], { encoding: 'utf8' })
    expect(help).toContain('errand <command>')
  })
})
