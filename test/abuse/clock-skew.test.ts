/** Credentials made by clocks that differ (H13, H67): half a minute is honest, minutes are not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { granted } from '../support/hops.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const at = (seconds: number) => {
  const now = world.now() + seconds
  return { iat: now, exp: now + 60 }
}
const evidenceAt = (seconds: number) => ({ ...at(seconds), exp: world.now() + 3_600, auth_time: undefined })

describe('an assertion', () => {
  test.each([-80, -30, 0, 30])('made %d seconds from now is accepted', async (seconds) => {
    await granted(world.open({ client_assertion: world.assertion('orchestrator', at(seconds)) }))
  })

  test.each([-300, -91, 31, 300, 86_400])('made %d seconds from now is refused', async (seconds) => {
    const answer = await world.open({ client_assertion: world.assertion('orchestrator', at(seconds)) })
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client'])
  })

  test('that would live for ever, or whose times are not whole numbers, is refused', async () => {
    const now = world.now()
    const times: readonly object[] = [
      { exp: now + 301 },
      { exp: now + 86_400 * 365 },
      { exp: 2 ** 53 },
      { exp: String(now + 60) },
      { exp: now + 60.5 },
      { exp: -1 },
      { exp: null },
      { exp: undefined },
      { iat: String(now) },
      { nbf: now + 31 },
    ]
    for (const claims of times) {
      const client_assertion = world.assertion('orchestrator', claims as Record<string, unknown>)
      expect((await world.open({ client_assertion })).status, JSON.stringify(claims)).toBe(401)
    }
  })
})

describe('evidence', () => {
  test.each([-3_000, 0, 30])('issued %d seconds from now is accepted', async (seconds) => {
    await granted(world.open({ subject_token: world.idToken(evidenceAt(seconds)) }))
  })

  test.each([31, 300])('issued %d seconds from now is refused', async (seconds) => {
    const { status, body } = await world.open({ subject_token: world.idToken(evidenceAt(seconds)) })
    expect([status, body.error]).toEqual([400, 'invalid_request'])
  })

  test('that has expired opens no session, whatever the skew: a session needs a life of its own', async () => {
    const { status, body } = await world.open({ subject_token: world.idToken({ exp: world.now() - 5 }) })
    expect([status, body.access_token]).toEqual([400, undefined])
  })
})
