/**
 * Going on without an end that is lost (H74): once under each name, whoever says so at the same time; never of a log that is whole;
 * and what was signed is said as it was.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CheckpointParts, Checkpoints } from '../../../../src/audit/log/checkpoints.ts'
import { type DraftedContinuation, type LogContinuing, logContinuing } from '../../../../src/audit/log/continue-log.ts'
import { type LogHead, parseHead } from '../../../../src/audit/log/head.ts'
import { LogContradicted } from '../../../../src/audit/log/log-contradicted.ts'
import { CHECKPOINT_DOCUMENT, CONTINUED_DOCUMENT } from '../../../../src/audit/log/log-documents.ts'
import { verifyAgainst } from '../../../../src/audit/log/verify/anchors.ts'
import { wordsOf } from '../../../../src/audit/log/verify/continued.ts'
import { newDecisionId } from '../../../../src/kernel/ids.ts'
import type { Store } from '../../../../src/store/ports.ts'
import { MemoryDocuments } from '../../../support/export-log.ts'
import { growLog } from '../../../support/grown-log.ts'
import { testSigner } from '../../../support/whole-log.ts'
import { HandClock, type TestStore, testStore } from '../../sessions/fixtures.ts'

const signer = testSigner()
const named = (origin?: string) => testSigner(signer.pem, origin)
const logKey = { signer: async (origin?: string) => named(origin) }
const held: TestStore[] = []
let documents: MemoryDocuments
/** What the store has for the log. */
let current: Store
const log = { head: () => current.log.head(), read: (names: readonly string[]) => current.log.read(names) }
beforeEach(() => {
  documents = new MemoryDocuments()
})
afterEach(async () => {
  for (const store of held.splice(0)) await store.close()
})

/** Put there in place of what there was. */
async function put(size: number, tag: string): Promise<void> {
  const store = await testStore(new HandClock())
  held.push(store)
  current = store.store
  await growLog(current, size, tag)
}

interface Broker {
  readonly checkpoints: Checkpoints
  readonly continuing: LogContinuing
}

function broker(more: Partial<CheckpointParts> = {}, lookAgain = async () => {}): Broker {
  const checkpoints = new Checkpoints({ documents, log, logKey, ...more })
  return { checkpoints, continuing: logContinuing(log, checkpoints, lookAgain) }
}

const head = async (): Promise<LogHead> => parseHead(await log.head())
const said = () => ({ reason: 'a disk', record: newDecisionId(), at: new Date(0).toISOString() })

async function drafted({ continuing }: Broker): Promise<DraftedContinuation> {
  const draft = await continuing.draft(said())
  if (draft === undefined) throw new Error('there is nothing to go on from')
  return draft
}

/** As whoever sequences does. */
async function sign(one = broker()): Promise<void> {
  await one.checkpoints.check(await head())
  await one.checkpoints.publish(await head())
}

async function goOn(): Promise<void> {
  const one = broker()
  expect(await one.continuing.carryOut(await drafted(one))).toBe(true)
}

const verified = (origin: string) => {
  const [newest, continued] = [CHECKPOINT_DOCUMENT, CONTINUED_DOCUMENT].map((name) => documents.texts.get(name))
  const found = { newest, continued, cosigned: undefined, kept: [] }
  return verifyAgainst(found, { keys: [named(origin).key], witnesses: [] }, { source: log })
}

test('of two who say so at once one has done it, also where the other hears of it in between: the log goes on', async () => {
  await put(10, 'whole')
  await sign()
  await put(5, 'left')
  const [one, two] = [broker(), broker()]
  const [first, second] = [await drafted(one), await drafted(two)]
  expect(await one.continuing.carryOut(first)).toBe(true)
  await two.checkpoints.check(await head())
  expect(await two.continuing.carryOut(second)).toBe(false)
  expect(JSON.parse(documents.texts.get(CONTINUED_DOCUMENT) ?? '')).toEqual([first.note])
  await sign()
})

test('what was drafted is not carried out on a log that has been given back what it had lost meanwhile', async () => {
  await put(10, 'whole')
  const whole = current
  await sign()
  await put(5, 'left')
  const one = broker()
  const draft = await drafted(one)
  current = whole
  expect(await one.continuing.carryOut(draft)).toBe(false)
  expect(documents.texts.has(CONTINUED_DOCUMENT)).toBe(false)
  await sign()
})

test('what is wrong no longer once it is looked at again is nothing to go on from', async () => {
  await put(5, 'whole')
  let isBehind = true
  const assertMaySign = async () => {
    if (isBehind) throw new LogContradicted('rolled_back', 'a witness has co-signed 7', { size: 7 })
  }
  const lookAgain = async () => {
    isBehind = false
  }
  expect(await broker({ assertMaySign }, lookAgain).continuing.draft(said())).toBeUndefined()
})

test('of all that is known to have been signed the most is said, whatever it is that is met first', async () => {
  await put(10, 'whole')
  await sign()
  await put(5, 'left')
  const witnessed = (size: number) => ({
    assertMaySign: async () => {
      throw new LogContradicted('rolled_back', 'a witness knows', { size })
    },
  })
  expect((await drafted(broker(witnessed(7)))).continued.signed).toBe(10)
  expect((await drafted(broker(witnessed(12)))).continued.signed).toBe(12)
  await goOn()
  await growLog(current, 25, 'more')
  await sign()
  await put(3, 'less')
  const { continued } = await drafted(broker())
  expect(continued).toMatchObject({ before: 'errand.example/audit/2', from: 3, signed: 30 })
  await put(40, 'forged')
  expect((await drafted(broker())).continued).toMatchObject({ from: 40, signed: 30 })
})

test('a log that has gone on twice, from less the second time, can be verified', async () => {
  await put(10, 'whole')
  await sign()
  await put(5, 'left')
  await goOn()
  await sign()
  await put(3, 'less')
  await goOn()
  await growLog(current, 10, 'more')
  await sign()
  const { size, continuations } = await verified('errand.example/audit/3')
  expect([size, continuations.map(({ from, signed }) => [from, signed])]).toEqual([
    13,
    [
      [5, 10],
      [3, 5],
    ],
  ])
})

test('of a log whose records are others than were signed, nobody is told that those before are the signed ones', async () => {
  await put(20, 'signed')
  await sign()
  await put(30, 'forged')
  await goOn()
  await sign()
  const [forked] = (await verified('errand.example/audit/2')).continuations
  if (forked === undefined) throw new Error('it was continued')
  expect(wordsOf(forked)).toMatch(/^from record 30 on .* what is before is not all what .* has signed up to 20: /)
})

test('a broker that hears of it between its append and its signature signs nothing of before under the new name', async () => {
  await put(10, 'whole')
  const late = broker()
  await sign(late)
  await growLog(current, 2, 'more')
  const appended = await head()
  await put(5, 'left')
  await goOn()
  await late.checkpoints.check(await head())
  await expect(late.checkpoints.publish(appended)).rejects.toThrow(LogContradicted)
  await sign(late)
})
