/** What is remembered of requests does not keep the requests. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateSketch } from '../../../src/admission/rate-sketch.ts'
import { detached } from '../../../src/kernel/detached.ts'
import { canonicalResource } from '../../../src/protocol/resource.ts'

const BODY_BYTES = 64 * 1024
const COUNT = 500

function collectAll(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  // Other tests of this process look whether anybody is given it.
  setFlagsFromString('--no-expose-gc')
  return process.memoryUsage().heapUsed
}

/** A parameter of a body that has nothing to decode, as a form gives it. */
const partOf = (text: string) => Buffer.alloc(BODY_BYTES, `${text}&`).toString('latin1').slice(0, text.length)

const sketch = new RateSketch({ perSecond: 1, burst: 1 }, 1_024)

test.each([
  [
    'sources and claimed names',
    (n: number) => sketch.waitMs(`token 127.0.0.1\n${partOf(`client-of-somebody-${n}`)}`, 0),
  ],
  ['resources', (n: number) => canonicalResource(partOf(`https://mcp.example/resource-${n}`))],
])('%s are remembered without the bodies they came in', (_what, remember) => {
  for (let n = 0; n < 10; n += 1) remember(n)
  const before = collectAll()
  for (let n = 0; n < COUNT; n += 1) remember(n)
  expect(collectAll() - before).toBeLessThan((BODY_BYTES * COUNT) / 4)
})

test('it is the same text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => detached(text) === text))
})
