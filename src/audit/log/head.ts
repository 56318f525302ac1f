/**
 * The head of the log: all that has to be known to append to it, replaced by compare-and-set with every append. Whoever replaces
 * it has appended; that is the only fence there is between brokers, and all that there needs to be.
 */
import { z } from 'zod'
import { Frontier } from '../../tlog/frontier.ts'
import { EMPTY_ROOT } from '../../tlog/hashes.ts'
import type { Tree } from '../../tlog/proofs.ts'
import { DamagedLog } from './damaged-log.ts'

export interface LogHead extends Tree {
  /** Complete subtrees, largest first. */
  readonly frontier: readonly Buffer[]
  /** Of each outbox, the position of the last record that is in the log. */
  readonly cursors: ReadonlyMap<string, string>
  /** Every record of the log that may still be in an outbox, too, has at least this index. */
  readonly floor: number
  /** How often a head was written: no two heads are the same text. */
  readonly turn: number
  /** The broker that wrote it, and when: for people. */
  readonly by: string
  readonly at: string
}

/** Of a log that nobody has begun. */
export const EMPTY_HEAD: LogHead = {
  size: 0,
  root: EMPTY_ROOT,
  frontier: [],
  cursors: new Map(),
  floor: 0,
  turn: 0,
  by: '',
  at: '',
}

const HASH = z.string().regex(/^[A-Za-z0-9+/]{43}=$/)
const COUNT = z.int().nonnegative()
const HEAD = z.strictObject({
  v: z.literal(1),
  size: COUNT,
  root: HASH,
  frontier: z.array(HASH),
  cursors: z.record(z.string(), z.string()),
  floor: COUNT,
  turn: COUNT,
  by: z.string(),
  at: z.string(),
})

export function formatHead({ size, root, frontier, cursors, floor, turn, by, at }: LogHead): string {
  return JSON.stringify({
    v: 1,
    size,
    root: root.toString('base64'),
    frontier: frontier.map((hash) => hash.toString('base64')),
    cursors: Object.fromEntries(cursors),
    floor,
    turn,
    by,
    at,
  } satisfies z.input<typeof HEAD>)
}

/** @param text `undefined`: there is no log yet. @throws DamagedLog */
export function parseHead(text: string | undefined): LogHead {
  if (text === undefined) return EMPTY_HEAD
  const head = decoded(text)
  const root = bytes(head.root)
  const frontier = head.frontier.map(bytes)
  if (!isRootOf(head.size, frontier, root) || head.floor > head.size) {
    throw new DamagedLog('the head of the audit log contradicts itself')
  }
  const { size, floor, turn, by, at } = head
  return { size, root, frontier, cursors: new Map(Object.entries(head.cursors)), floor, turn, by, at }
}

function decoded(text: string): z.output<typeof HEAD> {
  try {
    return HEAD.parse(JSON.parse(text))
  } catch (error) {
    throw new DamagedLog('the head of the audit log cannot be read', error)
  }
}

function isRootOf(size: number, frontier: readonly Buffer[], root: Buffer): boolean {
  try {
    return Frontier.of(size, frontier).root().equals(root)
  } catch {
    return false
  }
}

function bytes(base64: string): Buffer {
  return Buffer.from(base64, 'base64')
}
