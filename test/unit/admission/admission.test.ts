import { expect, test } from 'vitest'
import { Admission } from '../../../src/admission/admission.ts'
import { STRANGERS_AT_ONCE_MAX, STRANGERS_WAITING_MAX } from '../../../src/kernel/limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import type { Entry } from '../../../src/model/request-facts.ts'
import { HandTicks } from '../../support/sources.ts'

const RATE = { perSecond: 1, burst: 4 }
const OFF = {
  perSource: undefined,
  perSourceAndClient: undefined,
  perClient: undefined,
  perIssuer: undefined,
  refusalDelayMs: 0,
}
const agent = { clientId: 'agent', assertion: undefined, basic: undefined }
const asAgent = async () => ({ client: { clientId: 'agent' } })
const forged = async (): Promise<never> => {
  throw new Rejection('client_assertion_signature', 'no')
}

function reasonOf(run: () => unknown): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return error instanceof Rejection ? error.reason : 'fault'
  }
}

async function succeed(entry: Entry): Promise<void> {
  entry.claim(agent)
  await entry.admit(asAgent)
  entry.succeeded()
  entry.end()
}

async function fail(admission: Admission, source: string): Promise<void> {
  const entry = admission.arrive(source, 'token')
  entry.claim(agent)
  await expect(entry.admit(forged)).rejects.toThrow()
  entry.succeeded()
  entry.excused(true)
  entry.end()
}

test('a failure is paid for, whatever is said about the request afterwards', async () => {
  const admission = new Admission({ ...OFF, perSource: RATE }, new HandTicks())
  for (let failure = 0; failure < 4; failure += 1) await fail(admission, 's')
  expect(reasonOf(() => admission.arrive('s', 'token'))).toBe('source_limited')
})

test('beyond those inside and those waiting strangers are sent away, and a known client passes them all', async () => {
  const admission = new Admission({ ...OFF, perSourceAndClient: RATE }, new HandTicks())
  await succeed(admission.arrive('home', 'token'))
  const ends: (() => void)[] = []
  const pending: Promise<unknown>[] = []
  const stranger = (index: number) => {
    const entry = admission.arrive(`s-${index}`, 'token')
    entry.claim({ ...agent, clientId: `c-${index}` })
    return entry.admit(
      () => new Promise<{ client: { clientId: string } }>((end) => ends.push(() => end({ client: { clientId: 'x' } }))),
    )
  }
  for (let index = 0; index < STRANGERS_AT_ONCE_MAX + STRANGERS_WAITING_MAX; index += 1) pending.push(stranger(index))
  await expect(stranger(-1)).rejects.toMatchObject({ reason: 'strangers_limited', retryAfterSeconds: 1 })
  expect(ends).toHaveLength(STRANGERS_AT_ONCE_MAX)
  await succeed(admission.arrive('home', 'token'))
  while (ends.length > 0) {
    ends.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(pending)
})

test('a flood from as many sources as anybody likes does not pile up before its turns: the rest is sent away, and paid for', async () => {
  const admission = new Admission({ ...OFF, perSource: { perSecond: 0.01, burst: 1 } }, new HandTicks())
  await succeed(admission.arrive('home', 'token'))
  const known = admission.arrive('home', 'token')
  await known.turn()
  const seen: (string | undefined)[] = []
  const arrive = async (index: number) => {
    const entry = admission.arrive(`s-${index}`, 'token')
    const reason = await entry.turn().then(
      () => undefined,
      (error) => error.reason,
    )
    seen.push(reason)
    entry.end()
  }
  const all = Array.from({ length: 3 * STRANGERS_WAITING_MAX }, (_, index) => arrive(index))
  await new Promise((resolve) => setImmediate(resolve))
  expect(seen.filter((reason) => reason === 'strangers_limited')).toHaveLength(2 * STRANGERS_WAITING_MAX)
  expect(reasonOf(() => admission.arrive(`s-${3 * STRANGERS_WAITING_MAX - 1}`, 'token'))).toBe('source_limited')
  known.end()
  await Promise.all(all)
  expect(seen.filter((reason) => reason === undefined)).toHaveLength(STRANGERS_WAITING_MAX)
})

test('a store that does not answer costs a client nothing, and makes nobody known', async () => {
  const admission = new Admission({ ...OFF, perSource: RATE, perSourceAndClient: RATE }, new HandTicks())
  for (let outage = 0; outage < 20; outage += 1) {
    const entry = admission.arrive('s', 'token')
    entry.claim(agent)
    await entry.admit(asAgent)
    entry.excused(true)
    entry.end()
  }
  for (let failure = 0; failure < 4; failure += 1) await fail(admission, 's')
  expect(reasonOf(() => admission.arrive('s', 'token'))).toBe('source_limited')
})

test('a known client whose own bucket was emptied by those who know its key id still has what strangers have', async () => {
  const admission = new Admission({ ...OFF, perSource: RATE, perSourceAndClient: RATE }, new HandTicks())
  await succeed(admission.arrive('s', 'token'))
  for (let failure = 0; failure < 4; failure += 1) await fail(admission, 's')
  await succeed(admission.arrive('s', 'token'))
  for (let failure = 0; failure < 4; failure += 1) await fail(admission, 's')
  const entry = admission.arrive('s', 'token')
  expect(reasonOf(() => entry.claim(agent))).toBe('source_limited')
})

test('requests in work count until they have ended: a volley cannot pass before its first failure', async () => {
  const admission = new Admission({ ...OFF, perSource: RATE }, new HandTicks())
  const volley = Array.from({ length: 10 }, () => reasonOf(() => admission.arrive('s', 'token')))
  expect(volley.filter((reason) => reason === undefined)).toHaveLength(4)
})
