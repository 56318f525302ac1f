/** A secret comes from a file that is named, never from the configuration’s own text nor from the environment. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import type { z } from 'zod'
import { configDocument } from '../../../src/config/schema.ts'

interface Shape {
  readonly def: {
    readonly type: string
    readonly shape?: Readonly<Record<string, z.ZodType>>
    readonly innerType?: z.ZodType
    readonly options?: readonly z.ZodType[]
    readonly element?: z.ZodType
  }
}

/** Every setting that takes a text, wherever it stands. */
function textsIn(schema: z.ZodType, path = ''): readonly string[] {
  const { type, shape, innerType, options, element } = (schema as unknown as Shape).def
  if (type === 'string') return [path]
  if (shape !== undefined) {
    return Object.entries(shape).flatMap(([key, below]) => textsIn(below, path === '' ? key : `${path}.${key}`))
  }
  return [innerType, element, ...(options ?? [])].flatMap((below) => (below === undefined ? [] : textsIn(below, path)))
}

test('no setting takes a secret: what is named after one names the file that holds it', () => {
  const settings = textsIn(configDocument)
  // The walk reaches what it should: nested, optional and alternative settings.
  const files = ['listen.tls.key_file', 'store.url_file', 'metrics.token_file']
  expect(settings).toEqual(expect.arrayContaining([...files, 'store.url', 'issuer']))
  const suspicious = /pass|secret|token|credential|private|(^|_)key(_|$)|(^|_)auth/i
  const inline = settings.filter((name) => suspicious.test(name.split('.').at(-1) ?? '') && !name.endsWith('_file'))
  expect(inline).toEqual([])
})

test('the environment names the configuration’s file, sizes the thread pool, and nothing else', () => {
  const text = readFileSync(resolve(import.meta.dirname, '../../../src/config/environment.ts'), 'utf8')
  expect([...text.matchAll(/process\.env\S*/g)].map(([found]) => found)).toEqual([
    "process.env['ERRAND_CONFIG']",
    "process.env['UV_THREADPOOL_SIZE']",
    // Names alone, of what must not be there.
    'process.env):',
  ])
})
