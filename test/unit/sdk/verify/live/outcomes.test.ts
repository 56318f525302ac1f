import { describe, expect, test } from 'vitest'
import { BrokerRefused } from '../../../../../src/sdk/broker/http.ts'
import { Outcomes } from '../../../../../src/sdk/verify/live/outcomes.ts'

const ended = (attempt = 'call_1') => ({ attempt, decision_id: 'dec_1', outcome: 'success' as const })

/** `told`: what arrived. Each answer is the next of the list, the last for ever. */
function api(...answers: readonly (() => Promise<unknown>)[]) {
  const told: Readonly<Record<string, unknown>>[] = []
  let at = 0
  return {
    told,
    post: async (path: string, json: Readonly<Record<string, unknown>>) => {
      expect(path).toBe('/access/v1/outcome')
      told.push(json)
      const answer = answers[Math.min(at, answers.length - 1)]
      at += 1
      await answer?.()
      return {}
    },
  }
}

const yes = async () => undefined
const away = () => Promise.reject(new TypeError('fetch failed'))
const status = (code: number) => () => Promise.reject(new BrokerRefused(code))

describe('an outcome', () => {
  test('is told once', async () => {
    const broker = api(yes)
    const outcomes = new Outcomes(broker)
    await outcomes.tell(ended(), { detail: 'rpc_-32603' })
    expect(broker.told).toEqual([{ ...ended(), detail: 'rpc_-32603' }])
    expect([outcomes.pending, outcomes.untold]).toEqual([0, 0])
  })

  test('has a code of plain characters, and no more than the broker takes', async () => {
    const broker = api(yes)
    await new Outcomes(broker).tell(ended(), { detail: `a\u0000\n\u{1f511}${'x'.repeat(500)}` })
    expect(broker.told[0]?.['detail']).toMatch(/^a\?\?\?\??x{194,196}$/)
  })

  test('is told again while the broker is away, and then no more', async () => {
    const broker = api(away, status(503), status(401), yes)
    const outcomes = new Outcomes(broker, [1, 1, 1, 1])
    await outcomes.tell(ended())
    expect([broker.told.length, outcomes.untold]).toEqual([4, 0])
  })

  test('is given up after its last attempt, and never rejects', async () => {
    const broker = api(away)
    const outcomes = new Outcomes(broker, [1, 1])
    await outcomes.tell(ended())
    expect([broker.told.length, outcomes.pending, outcomes.untold]).toEqual([3, 0, 1])
  })

  test.each([
    [400, 1],
    [403, 1],
    [404, 1],
    [409, 0],
  ])('that the broker refuses with %i is not told again', async (code, untold) => {
    const broker = api(status(code))
    const outcomes = new Outcomes(broker, [1, 1])
    await outcomes.tell(ended())
    expect([broker.told.length, outcomes.untold]).toEqual([1, untold])
  })
})

describe('many outcomes', () => {
  test('are told a few at a time', async () => {
    let now = 0
    let most = 0
    const broker = api(async () => {
      now += 1
      most = Math.max(most, now)
      await new Promise((resolve) => setTimeout(resolve, 5))
      now -= 1
    })
    const outcomes = new Outcomes(broker)
    await Promise.all(Array.from({ length: 100 }, (_unused, at) => outcomes.tell(ended(`call_${at}`))))
    expect([broker.told.length, most]).toEqual([100, 16])
  })

  test('that wait for a broker that is away do not fill the memory', async () => {
    const outcomes = new Outcomes(api(away), [60_000])
    for (let at = 0; at < 10_050; at += 1) void outcomes.tell(ended(`call_${at}`))
    expect([outcomes.pending, outcomes.untold]).toEqual([10_000, 50])
    await outcomes.close(50)
  })
})

describe('on the way out', () => {
  test('what waits is told at once', async () => {
    const broker = api(away, yes)
    const outcomes = new Outcomes(broker, [60_000])
    const telling = outcomes.tell(ended())
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(outcomes.pending).toBe(1)
    await outcomes.close(5_000)
    await telling
    expect([broker.told.length, outcomes.pending, outcomes.untold]).toEqual([2, 0, 0])
  })

  test('nobody waits longer than was said', async () => {
    const outcomes = new Outcomes(api(() => new Promise(() => undefined)))
    void outcomes.tell(ended())
    const begun = performance.now()
    await outcomes.close(30)
    expect(performance.now() - begun).toBeLessThan(5_000)
    expect(outcomes.pending).toBe(1)
  })
})
