/**
 * Revoke against mint, 3 000 times on each store, at the level of commits. Whatever the interleaving, no leaf is counted
 * after the revoke: not by the clock (no mint that began after the revoke was acknowledged has succeeded), and not by the
 * order in which the store itself performed them (the outbox is appended in the same transaction).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { runChild } from '../support/child.ts'
import { whenAvailable } from '../support/patience.ts'
import { mintCommit, openCommit, revokeCommit } from '../support/race-commits.ts'
import { startRedis } from '../support/redis.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

const ROUNDS = 3_000
const AT_ONCE = 8

interface Round {
  readonly session: SessionId
  readonly leaves: number
  /** Start of the last mint that succeeded, and acknowledgement of the revoke: monotonic nanoseconds. */
  readonly lastMintStart: bigint
  readonly revokedAt: bigint
}

/** A pause of 0 to 2 ms, without the granularity of a timer. */
async function moment(): Promise<void> {
  const until = process.hrtime.bigint() + BigInt(Math.floor(Math.random() * 2_000_000))
  while (process.hrtime.bigint() < until) await new Promise((resolve) => setImmediate(resolve))
}

/** As a broker does: what is not known to have happened is asked for again under its id. */
async function open(store: Store, session: SessionId): Promise<void> {
  const commit = openCommit(session)
  await whenAvailable(() => store.sessions.commit(commit))
}

async function revoke(store: Store, session: SessionId, round: number): Promise<bigint> {
  const commit = revokeCommit(session, round % 2 ? 'session' : 'node')
  expect(await whenAvailable(() => store.sessions.commit(commit))).toMatchObject({ committed: true })
  return process.hrtime.bigint()
}

/** Runs `race` for every round, a few at a time, so that commits of different sessions share transactions. */
async function inLanes(race: (round: number) => Promise<Round>): Promise<Round[]> {
  const rounds: Round[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < ROUNDS) rounds.push(await race(next++))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  return rounds
}

async function judge(store: Store, rounds: readonly Round[]): Promise<void> {
  expect(rounds).toHaveLength(ROUNDS)
  const total = rounds.reduce((sum, { leaves }) => sum + leaves, 0)
  // Newest first: what stands before a session's revoke came after it.
  const revoked = new Set<string>()
  const late: string[] = []
  const audited = new Map<string, number>()
  const records = await whenAvailable(() => store.audit.latest(total + ROUNDS))
  for (const { record } of records.toReversed()) {
    const [session = '', what] = record.split(' ')
    if (what === 'revoke') revoked.add(session)
    else if (revoked.has(session)) late.push(record)
    else audited.set(session, (audited.get(session) ?? 0) + 1)
  }
  expect(late).toEqual([])
  expect(revoked.size).toBe(ROUNDS)
  for (const { session, leaves, lastMintStart, revokedAt } of rounds) {
    expect(lastMintStart).toBeLessThan(revokedAt)
    // Every leaf that a minter was told of is counted, and none besides.
    const counted = (await whenAvailable(() => store.sessions.read(session, ['leaves'])))?.get('leaves') ?? '0'
    expect([session, counted, audited.get(session) ?? 0]).toEqual([session, String(leaves), leaves])
  }
  // The race was one: sessions were revoked between their mints, not only before the first.
  expect(rounds.filter(({ leaves }) => leaves > 0).length).toBeGreaterThan(ROUNDS / 4)
}

it('embedded: no leaf is counted after the revoke, in 3 000 races', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-race-'))
  const store = await openStore({ kind: 'embedded', directory, org: 'acme', clock: systemClock })
  const race = async (round: number): Promise<Round> => {
    const session = newSessionId()
    await open(store, session)
    let leaves = 0
    let lastMintStart = 0n
    const mint = async (): Promise<void> => {
      for (;;) {
        const start = process.hrtime.bigint()
        const commit = mintCommit(session, leaves)
        if (!(await whenAvailable(() => store.sessions.commit(commit))).committed) return
        leaves++
        lastMintStart = start
      }
    }
    const minting = mint()
    await moment()
    const revokedAt = await revoke(store, session, round)
    await minting
    return { session, leaves, lastMintStart, revokedAt }
  }
  await judge(store, await inLanes(race))
  await store.close()
  rmSync(directory, { recursive: true, force: true })
})

it('redis: no leaf is counted after the revoke, in 3 000 races between two processes', async () => {
  const redis = await startRedis()
  const store = await openStore({ kind: 'redis', url: redis.url, org: 'acme' })
  const minter = runChild(new URL('./race-minter.ts', import.meta.url), [redis.url])
  const waiting = new Map<string, (line: string) => void>()
  const line = (start: string): Promise<string> => new Promise((resolve) => waiting.set(start, resolve))
  minter.onLine((text) => {
    const start = text.split(' ').slice(0, 2).join(' ')
    waiting.get(start)?.(text)
    waiting.delete(start)
  })
  await line('ready')
  const race = async (round: number): Promise<Round> => {
    const session = newSessionId()
    await open(store, session)
    const refused = line(`refused ${session}`)
    const minting = line(`minting ${session}`)
    minter.send(session)
    // Every fourth revoke races the first mint of all; the others meet a minter at work.
    if (round % 4) await minting
    else await moment()
    await moment()
    const revokedAt = await revoke(store, session, round)
    const [, , leaves, lastMintStart] = (await refused).split(' ')
    return { session, leaves: Number(leaves), lastMintStart: BigInt(lastMintStart ?? 0), revokedAt }
  }
  await judge(store, await inLanes(race))
  minter.process.stdin?.end()
  expect(await minter.exited).toBe(0)
  await store.close()
  await redis.stop()
})
