/**
 * `bench verify`: what a server's verifier costs. First sight of a token against the bare check of its signature, and a token
 * seen before with the look-up of revocations and the check of a tool call with its arguments; and how many exchanges a burst of
 * calls makes when its token ends. All in this process, in turns of the same tokens; the bare check is node:crypto alone, on this thread, of a signature that is already in the form OpenSSL reads.
 */
import { type KeyObject, verify as verifySignature } from 'node:crypto'
import { derFromP1363 } from '../../src/jose/ecdsa-form.ts'
import { toolCallRefusal } from '../../src/sdk/verify/tool-call.ts'
import type { Verifier } from '../../src/sdk/verify/verifier.ts'
import { burst } from './burst.ts'
import { atMost, environment, median, rounded } from './figures.ts'
import { goalTable, type Output, table } from './output.ts'
import { CALL, followingVerifier, MANIFEST, mintedToken } from './verified.ts'

export interface VerifyOptions {
  readonly rounds: number
  /** Tokens of one turn. */
  readonly exchanges: number
  /** Tokens verified before the first round, not measured: what is measured is a server that has been running. */
  readonly warmup: number
}

/** Verified at once, as requests that arrive together are. */
const TOGETHER = 16
const CHUNK = 128
/** How often each token of a turn is presented again. */
const AGAIN = 10

export async function verify(options: VerifyOptions, output: Output): Promise<unknown> {
  const { verifier, publicKey, close } = await followingVerifier()
  try {
    await turn(verifier, publicKey, options.warmup)
    const turns: Turn[] = []
    for (let round = 0; round < options.rounds; round += 1) {
      output.progress(`round ${round + 1} of ${options.rounds}`)
      turns.push(await turn(verifier, publicKey, options.exchanges))
    }
    const of = (pick: (turn: Turn) => number) => median(turns.map(pick))
    const figures = {
      signature_us: rounded(
        of(({ signatureUs }) => signatureUs),
        1,
      ),
      first_sight_us: rounded(
        of(({ firstUs }) => firstUs),
        1,
      ),
      seen_us: rounded(
        of(({ seenUs }) => seenUs),
        2,
      ),
    }
    const bursting = await burst()
    const goals = {
      // Of neighbours in time: what else the machine did then concerns both.
      first_sight_ratio: atMost(
        of(({ firstUs, signatureUs }) => firstUs / signatureUs),
        1.5,
      ),
      seen_us: atMost(figures.seen_us, 10),
      burst_exchanges: { value: bursting.exchanges, limit: 1, met: bursting.exchanges === 1 },
    }
    const rows = [
      ['the bare check of a signature', figures.signature_us],
      ['a token never seen before, and a call', figures.first_sight_us],
      ['a token seen before, and a call', figures.seen_us],
    ]
    output.say(`${table([['', 'CPU µs'], ...rows])}\n\n${goalTable(goals)}`)
    return { bench: 'verify', environment: environment(), figures, burst: bursting, goals }
  } finally {
    await close()
  }
}

interface Turn {
  readonly signatureUs: number
  readonly firstUs: number
  readonly seenUs: number
}

let made = 0

async function turn(verifier: Verifier, key: KeyObject, count: number): Promise<Turn> {
  const texts = Array.from({ length: count }, () => mintedToken(made++))
  const parts = texts.map((text) => {
    const end = text.lastIndexOf('.')
    const signature = derFromP1363(Buffer.from(text.slice(end + 1), 'base64url'), 'P-256')
    if (signature === undefined) throw new Error('a signature that is none')
    return { input: Buffer.from(text.slice(0, end)), signature }
  })
  const spent = { signature: 0, first: 0, seen: 0 }
  // In turns shorter than whatever else the machine does: that then concerns all alike.
  for (let start = 0; start < count; start += CHUNK) {
    const end = Math.min(count, start + CHUNK)
    spent.signature += await cpuOf(async () => {
      for (const { input, signature } of parts.slice(start, end)) {
        if (!verifySignature('sha256', input, key, signature)) throw new Error('a signature does not verify')
      }
    })
    const chunk = texts.slice(start, end)
    spent.first += await cpuOf(() => calls(verifier, chunk))
    spent.seen += await cpuOf(async () => {
      for (let again = 0; again < AGAIN; again += 1) await calls(verifier, chunk)
    })
  }
  return {
    signatureUs: spent.signature / count,
    firstUs: spent.first / count,
    seenUs: spent.seen / (count * AGAIN),
  }
}

/** A call by each token. */
async function calls(verifier: Verifier, texts: readonly string[]): Promise<void> {
  for (let next = 0; next < texts.length; next += TOGETHER) {
    await Promise.all(texts.slice(next, next + TOGETHER).map((text) => call(verifier, text)))
  }
}

async function call(verifier: Verifier, text: string): Promise<void> {
  const refusal = toolCallRefusal(await verifier.verify(text), CALL, MANIFEST)
  if (refusal !== undefined) throw new Error(`the call was refused: ${refusal.description}`)
}

/** CPU µs of this process, all its threads. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}
