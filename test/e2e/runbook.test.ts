/**
 * The runbook for a compromised agent, run line by line against a real broker: each answer as the page shows it; and the agent's
 * own token, which the page is about, is alive before and dead after.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectCommandsExist, type Runbook, readPage, startRunbook } from '../support/runbook.ts'

const PAGE = readPage('compromised-agent.md')
let runbook: Runbook
beforeAll(async () => {
  runbook = await startRunbook(PAGE)
})
afterAll(() => runbook?.close())

test('every command of the page answers as the page says, and the agent is dead until it is lifted', async () => {
  expect(runbook.blocks.length).toBeGreaterThan(6)
  expect((await runbook.asAgent('before.jwt')).code).toBe(0)
  let isStopped = false
  await runbook.play(async (commands) => {
    if (isStopped || !commands.includes('errand revoke')) return
    isStopped = true
    const refused = await runbook.asAgent('after.jwt')
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('principal_blocked')])
    expect((await runbook.states())[0]).toBe('revoked')
  })
  expect(isStopped).toBe(true)
  // Lifted: it begins anew, and what it had before is still dead.
  expect((await runbook.asAgent('anew.jwt')).code).toBe(0)
  expect([...(await runbook.states())].sort()).toEqual(['active', 'revoked'])
})

test('commands named in its text exist, with their options', () => expectCommandsExist(PAGE))
