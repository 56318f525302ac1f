/**
 * What `bench verify` verifies: tokens as a broker mints them for an agent that acts for a user through another agent, and a
 * verifier that follows a feed on which others have been cut off. Its broker is in this process, and says little: what a
 * network costs is not measured here.
 */
import type { KeyObject } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { DIMENSIONS } from '../../src/authority/dimensions.ts'
import { FEED_HEARTBEAT_MS } from '../../src/kernel/feed-limits.ts'
import { FEED_EVENT } from '../../src/protocol/revocation-feed.ts'
import type { StreamDoor } from '../../src/sdk/broker/http.ts'
import { createVerifier, type Verifier } from '../../src/sdk/verify/verifier.ts'
import { publicJwk, sign, testKey } from '../support/keys.ts'

const ISSUER = 'https://broker.example'
const RESOURCE = 'https://warehouse.example/mcp'
const KEY = testKey('access-1')
const SERVER_KEY = testKey('warehouse-server-key')
/** Live cut-offs of others. */
const CUTOFFS = 5_000
/** Of one holder each; their tokens come one after the other, as they are renewed. */
const SESSIONS = 1_000
const LIFETIME_S = 300
/** It stands still: nothing grows old, is read again or expires meanwhile. */
const NOW_MS = Date.now()
const NOW_S = Math.floor(NOW_MS / 1000)

/** Tool → the scope that opens it. */
export const MANIFEST: ReadonlyMap<string, string> = new Map([
  ['query', 'mcp:tools:read'],
  ['list_tables', 'mcp:tools:read'],
  ['export', 'mcp:tools:write'],
])
export const CALL = { tool: 'query', arguments: { table: 'revenue', limit: 100, note: 'Q3 by region' } }

/** No two are the same. */
export function mintedToken(n: number): string {
  const agent = (sub: string) => ({ iss: ISSUER, sub: `agent:${sub}`, sub_profile: 'ai_agent' })
  const claims = {
    iss: ISSUER,
    iat: NOW_S,
    exp: NOW_S + LIFETIME_S,
    jti: `tok_01K9ZJ4Q3W8R6T0VYX${n}`,
    sub: `user:corp:user-${n % 500}`,
    aud: RESOURCE,
    client_id: 'report-writer',
    scope: 'mcp:tools:read',
    sub_profile: 'user',
    sid: `ses_01K9ZJ4Q3W8R6T0V${n % SESSIONS}`,
    rv: CUTOFFS,
    act: { ...agent('report-writer'), act: agent('orchestrator') },
    authorization_details: [
      {
        type: 'mcp_tools',
        locations: [RESOURCE],
        tools: {
          query: { table: { enum: ['revenue', 'regions'] }, limit: { maximum: 500 }, note: { maxLength: 200 } },
          list_tables: {},
        },
      },
    ],
    not_after: NOW_S + 3_600,
    env: 'production',
    auth_time: NOW_S - 60,
    agent: { version: '7', instance: 'report-writer-1' },
    origin: { type: 'agent_plan', ref: `msg-${n % SESSIONS}`, asserted_by: 'client' },
    intent: 'Yk3c0QwYyqk0z0mJq5l2r9x2b7V5cJt5nJYb1mQy8xk',
    anc: [`nod_01K9ZJ4Q3W8R6T0VA${n % SESSIONS}`, `nod_01K9ZJ4Q3W8R6T0VB${n % SESSIONS}`],
    par_hash: 'Yk3c0QwYyqk0z0mJq5l2r9x2b7V5cJt5nJYb1mQy8xk',
  }
  return sign({ key: KEY, header: { typ: 'at+jwt' }, claims }).reveal()
}

export interface Following {
  readonly verifier: Verifier
  readonly publicKey: KeyObject
  close(): Promise<void>
}

/** One that is up to date. */
export async function followingVerifier(): Promise<Following> {
  const verifier = createVerifier({
    issuer: ISSUER,
    resource: RESOURCE,
    clock: { nowMs: () => NOW_MS },
    ticks: { ticksMs: () => 0 },
    door: async ({ url }) =>
      url.endsWith('/jwks')
        ? JSON.stringify({ keys: [publicJwk(KEY)] })
        : JSON.stringify({ access_token: 'for-the-feed', token_type: 'Bearer', expires_in: LIFETIME_S }),
    streams: feed,
    revocations: {
      clientId: 'warehouse-server',
      sign: async (claims) => sign({ key: SERVER_KEY, header: {}, claims }).reveal(),
    },
  })
  const { revocations } = verifier
  if (revocations === undefined) throw new Error('it does not follow')
  await revocations.ready()
  return { verifier, publicKey: KEY.publicKey, close: () => revocations.close() }
}

/** Everything that is cut off; and every second that this is all. */
const feed: StreamDoor = async ({ signal }) => {
  const cutoffs = Array.from({ length: CUTOFFS }, (_, n) => ({
    dimension: DIMENSIONS[n % DIMENSIONS.length],
    id: `id_${n}`,
    seq: n,
    expires_at_ms: NOW_MS + 600_000,
  }))
  return (async function* () {
    yield eventOf(FEED_EVENT.snapshot, { epoch: 'one', seq: CUTOFFS, salt: 'salt', cutoffs })
    while (!signal.aborted) {
      yield eventOf(FEED_EVENT.heartbeat, { epoch: 'one', seq: CUTOFFS, as_of: NOW_MS })
      await sleep(FEED_HEARTBEAT_MS, undefined, { signal }).catch(() => undefined)
    }
  })()
}

function eventOf(event: string, data: object): Uint8Array {
  return Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}
