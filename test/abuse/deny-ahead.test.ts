import { afterEach, expect, test } from 'vitest'
import { granted } from '../support/hops.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World | undefined
afterEach(() => world?.close())

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString()

async function worldWithDeny(tool: string) {
  const grants = [
    { id: 'all', effect: 'allow', principals: [{ group: 'finance' }], resources: [{ server: '*' }], reason: 'work' },
    {
      id: 'freeze',
      effect: 'deny',
      principals: [{ agent: 'orchestrator' }],
      resources: [{ server: 'warehouse', tool }],
      when: { not_before: inSeconds(100) },
      reason: 'the freeze begins',
    },
  ]
  world = await startWorld({ registry: { grants } })
  return world
}

test('an access token does not outlive the moment a deny against one of its tools begins', async () => {
  const held = await worldWithDeny('query')
  const session = await granted(held.open())
  const access = await granted(held.continue(session.token))
  expect(Number(access.claims['exp']) - held.now()).toBeLessThanOrEqual(100)
  // The session itself goes on: it is asked again at every exchange.
  expect(Number(session.claims['exp']) - held.now()).toBe(900)
})

test('a deny against a tool that the token does not open shortens nothing', async () => {
  const held = await worldWithDeny('insert_rows')
  const access = await granted(held.continue((await granted(held.open())).token))
  expect(Number(access.claims['exp']) - held.now()).toBe(300)
})
