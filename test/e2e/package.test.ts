import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { builtPackage } from '../support/built.ts'
import { installedElsewhere } from '../support/packed.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  bin: Record<string, string>
  exports: Record<string, { types: string; default: string }>
  peerDependencies: Record<string, string>
  peerDependenciesMeta: Record<string, unknown>
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
      const values = names.split(',').filter((name) => !name.trim().startsWith('type '))
      for (const name of values) expect(module[name.trim()], name).toBeTypeOf('function')
    }
  })

  test('the command runs as compiled', () => {
    const help = execFileSync(process.execPath, [inBuild(PACKAGE.bin['errand'] ?? ''), 'help'], { encoding: 'utf8' })
    expect(help).toContain('errand <command>')
  })

  /** Packages that a module needs to be imported, with all that it imports. */
  const needs = (path: string, seen = new Set<string>()): readonly string[] => {
    if (seen.has(path)) return []
    seen.add(path)
    const specifiers = [
      ...readFileSync(path, 'utf8').matchAll(
        /^(?:import|export)\b[^;'"]*?from ['"]([^'"]+)['"]|^import ['"]([^'"]+)['"]|\bimport\(['"]([^'"]+)['"]\)/gm,
      ),
    ]
    return specifiers
      .map(([, from, bare, late]) => from ?? bare ?? late ?? '')
      .flatMap((name) =>
        name.startsWith('.') ? needs(join(path, '..', name), seen) : name.startsWith('node:') ? [] : [name],
      )
  }
  const entries = Object.keys(PACKAGE.exports).filter((name) => /^\.\/(?:verify|agent)/.test(name))

  test('a verifier needs no package, and a drop-in none but the SDK that it is for', () => {
    const needed = entries.map((name) => [name, [...new Set(needs(inBuild(PACKAGE.exports[name]?.default ?? '')))]])
    const some = needed.filter(([, packages]) => packages?.length !== 0)
    expect(Object.fromEntries(some)).toEqual({
      './verify/express': ['@modelcontextprotocol/sdk/server/auth/errors.js'],
      './verify/mcp': ['@modelcontextprotocol/server'],
    })
    expect(entries).toContain('./verify/hono')
  })

  test('packed and installed where no framework is, a verifier can be imported; a drop-in says what it lacks', () => {
    const bare = installedElsewhere([])
    const run = (text: string) => {
      const ran = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
        cwd: bare.directory,
        encoding: 'utf8',
      })
      return ran.status === 0 ? ran.stdout : ran.stderr
    }
    const names = entries.filter((name) => !/express|mcp$/.test(name)).map((name) => name.replace('.', 'errand'))
    const imported = run(`for (const name of ${JSON.stringify(names)}) console.log(typeof await import(name))`)
    expect(imported.trim().split('\n')).toEqual(names.map(() => 'object'))
    expect(run("await import('errand/verify/express')")).toContain("Cannot find package '@modelcontextprotocol/sdk'")
    expect(run("await import('errand/verify/mcp')")).toContain("Cannot find package '@modelcontextprotocol/server'")
    bare.remove()
  })

  test('what a drop-in needs is a peer that need not be there', () => {
    expect(Object.keys(PACKAGE.peerDependencies).sort()).toEqual([
      '@modelcontextprotocol/sdk',
      '@modelcontextprotocol/server',
    ])
    for (const name of Object.keys(PACKAGE.peerDependencies)) {
      expect(PACKAGE.peerDependenciesMeta[name]).toEqual({ optional: true })
    }
  })
})
