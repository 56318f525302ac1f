/**
 * The page on revoking, run line by line against a real broker: each answer as the page shows it; and the token it is about lives
 * through every dry run, and dies of what is done.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectCommandsExist, type Runbook, readPage, startRunbook } from '../support/runbook.ts'

const PAGE = readPage('revoke.md')
let runbook: Runbook
beforeAll(async () => {
  runbook = await startRunbook(PAGE)
})
afterAll(() => runbook?.close())

test('every command of the page answers as the page says, and only what is done is done', async () => {
  expect((await runbook.asAgent('before.jwt')).code).toBe(0)
  const seen: string[] = []
  await runbook.play(async () => {
    seen.push([...(await runbook.states())].sort().join(' '))
  })
  // Sessions live through the dry run, the tool and the server; the build's own dies, and the one after that is closed.
  expect(seen).toEqual([...Array(4).fill('active'), ...Array(3).fill('revoked'), 'closed revoked'])
})

test('commands named in its text exist, with their options', () => expectCommandsExist(PAGE))
