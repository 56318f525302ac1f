/** Parsers of what operators write, what stores keep, what a command line says and what an MCP server is handed. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseToolConstraints } from '../../src/authority/constraints.ts'
import { CutoffSet } from '../../src/authority/cutoffs.ts'
import { decodeAuthority, encodeAuthority } from '../../src/authority/encode-authority.ts'
import { saltedId } from '../../src/authority/salted-id.ts'
import { drawToken } from '../../src/cli/agent/inspect-token.ts'
import { looksLikeToken, parseCommandArgs } from '../../src/cli/args.ts'
import { drawRecord } from '../../src/cli/audit/record-drawing.ts'
import { UsageError } from '../../src/cli/failures.ts'
import { drawRefusal } from '../../src/cli/refusal-drawing.ts'
import { drawKill } from '../../src/cli/sessions/kill-drawing.ts'
import { drawSession, drawSessions } from '../../src/cli/sessions/session-drawing.ts'
import { plainStyles } from '../../src/cli/terminal.ts'
import { decodeConfig } from '../../src/config/load-config.ts'
import { isJsonObject, parseStrictJson } from '../../src/jose/strict-json.ts'
import { systemTicks } from '../../src/kernel/clock.ts'
import { KeyFileError, parseKeyFile } from '../../src/keys/key-file.ts'
import { parseRegistryText } from '../../src/registry/load-registry.ts'
import { ConfigurationError, parseYamlText } from '../../src/registry/strict-document.ts'
import { challengeHeader } from '../../src/sdk/verify/challenge.ts'
import { readEvents } from '../../src/sdk/verify/feed/event-stream.ts'
import { decodeEvent, FeedBroken } from '../../src/sdk/verify/feed/feed-message.ts'
import { RevocationView } from '../../src/sdk/verify/feed/revocation-view.ts'
import { toolCallRefusal } from '../../src/sdk/verify/tool-call.ts'
import { TokenRefused } from '../../src/sdk/verify/verified-token.ts'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { atLength } from '../../src/sessions/phrases.ts'
import { decodeNode, decodeOpened, encodeFacts, encodeNode } from '../../src/sessions/record-text.ts'
import { viewSession } from '../../src/sessions/session-record.ts'
import { liveEntries, mergedText, parseEntry, slotExpiryMs } from '../../src/store/control-text.ts'
import { COMMANDS } from '../support/commands.ts'
import { claims, Door, ISSUER, ManualClock, newKey, RESOURCE, token } from '../unit/sdk/verify/issuing.ts'
import {
  authority,
  child,
  NOW,
  nodeFacts,
  ROOT,
  SESSION as SESSION_ID,
  sessionFacts,
} from '../unit/sessions/fixtures.ts'
import { OracleError, type Target } from './harness.ts'
import { frozenJson, isJwtError, isRejection, never, same } from './targets-wire.ts'

const EXAMPLE = join(import.meta.dirname, '..', '..', 'deploy', 'example')
const example = (name: string) => readFileSync(join(EXAMPLE, name), 'utf8')
const isConfigurationError = (error: unknown) => error instanceof ConfigurationError
/** The store holds only what the broker wrote: anything else is a fault, thrown (`session-record.ts`). */
const isFault = (error: unknown) =>
  error instanceof Error && !(error instanceof OracleError) && !(error instanceof RangeError)
const json = (...values: readonly unknown[]) => values.map((value) => JSON.stringify(value))

const KEY = newKey('k1')
const FEED_CUTOFF = { dimension: 'user', id: saltedId('s', 'user', 'alice'), seq: 3, expires_at_ms: 9e12 }
const feedEvent = (name: string, data: object) => `id: e.3\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
const FEED = [
  feedEvent('snapshot', { epoch: 'e', seq: 3, salt: 's', cutoffs: [FEED_CUTOFF] }) +
    feedEvent('cutoffs', { previous: 3, seq: 4, cutoffs: [{ ...FEED_CUTOFF, dimension: 'node', seq: 4 }] }) +
    feedEvent('heartbeat', { epoch: 'e', seq: 4, as_of: 1_790_000_000_000 }),
]
const TOKENS = [await token(KEY), await token(KEY, { act: undefined }), await token(KEY, { sub: 'agent:x' }, 'JWT')]
const verifier = createVerifier({
  issuer: ISSUER,
  resource: RESOURCE,
  door: new Door([KEY]).open,
  clock: new ManualClock(),
})
const RECORD = {
  id: 'dec_x',
  at: '2026-01-01T00:00:00.000Z',
  event: 'token.issued',
  outcome: 'granted',
  by: 'agent:x',
  on_behalf_of: 'user:corp:alice',
  detail: '{"dimension":"agent","agent":"x"}',
  strangers: [['client_unknown', '10.0.0.1', 3]],
}
const SESSION = {
  session: 'ses_x',
  state: 'active',
  agent: 'x',
  on_behalf_of: 'user:corp:alice',
  purpose: 'p',
  opened_at: NOW,
  not_after: NOW + 60,
  nodes: 1,
  tokens: 1,
  tree: [
    {
      node: 'nod_x',
      agent: 'x',
      state: 'live',
      chain: ['agent:x'],
      purpose: 'p',
      origin: 'schedule',
      tokens: 1,
      authority: {},
    },
  ],
}
const SALT = sessionFacts().intentSalt
const FACTS_TEXT = encodeFacts(sessionFacts(), nodeFacts())
const ROOT_TEXT = encodeNode(nodeFacts(), SALT)
const RECORD_TEXT = json(
  Object.fromEntries([
    ['state', 'active'],
    ['notAfter', String(NOW + 60)],
    ['facts', FACTS_TEXT],
    ['n:nod_root', ROOT_TEXT],
    ['d:jti_child', encodeNode(child(), SALT)],
    ['x:jti_child', '1'],
    ['l:nod_root', '3'],
  ]),
)

/** What a terminal or a log must not be handed. */
function assertPrintable(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  const found = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.exec(text)
  if (found !== null) throw new OracleError(`draws the control character ${found[0].charCodeAt(0)}`)
}

/** A drawing of an object that a broker answered with; what is none is refused before it is drawn. */
function drawing(name: string, corpus: readonly string[], draw: (body: Record<string, unknown>) => string): Target {
  const run = (input: string) => {
    const value = parseStrictJson(input)
    if (isJsonObject(value)) assertPrintable(draw(value))
  }
  return { name, corpus, isRefusal: isJwtError, run }
}

export const DOCUMENT_TARGETS: readonly Target[] = [
  {
    name: 'yaml',
    quadratic: true,
    corpus: [example('errand.yaml'), example('registry.yaml').slice(0, 1_500), 'a: 1\nb: [x, {y: z}]\nc: |\n  t\n'],
    isRefusal: isConfigurationError,
    run: (input) => parseYamlText(input, 'x.yaml'),
  },
  {
    name: 'registry',
    quadratic: true,
    corpus: [example('registry.yaml'), example('registry.yaml').slice(0, 3_000)],
    isRefusal: isConfigurationError,
    run: (input) => parseRegistryText(input, 'x.yaml', { issuer: ISSUER }),
  },
  {
    name: 'config',
    quadratic: true,
    corpus: [example('errand.yaml')],
    isRefusal: isConfigurationError,
    run: (input) => decodeConfig(parseYamlText(input, 'x.yaml'), 'x.yaml', '/nowhere'),
  },
  {
    name: 'config-value',
    corpus: json(parseYamlText(example('errand.yaml'), 'x.yaml')),
    isRefusal: isConfigurationError,
    run: (input) => decodeConfig(frozenJson(input), 'x.yaml', '/nowhere'),
  },
  {
    name: 'key-file',
    corpus: json({
      class: 'access',
      alg: 'ES256',
      kid: 'x',
      activateAt: 1,
      createdAt: 1,
      jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', d: 'AA' },
    }),
    isRefusal: (error) => error instanceof KeyFileError,
    run: (input) => parseKeyFile(`access-ES256-${'a'.repeat(43)}.jwk.json`, input),
  },
  {
    name: 'authority',
    corpus: json(encodeAuthority(authority())),
    isRefusal: isFault,
    run: (input) => {
      const decoded = decodeAuthority(frozenJson(input))
      same('authority', encodeAuthority(decodeAuthority(encodeAuthority(decoded))), encodeAuthority(decoded))
    },
  },
  {
    name: 'session-facts',
    corpus: [FACTS_TEXT, atLength(FACTS_TEXT)],
    isRefusal: isFault,
    run: (input) => {
      const { facts, root } = decodeOpened({ session: SESSION_ID, root: ROOT }, { facts: input, root: ROOT_TEXT })
      if (!(facts.ceiling.resources instanceof Map)) throw new OracleError('no authority')
      const again = { facts: encodeFacts(facts, root), root: ROOT_TEXT }
      same('facts', decodeOpened({ session: SESSION_ID, root: ROOT }, again).facts, facts)
    },
  },
  {
    name: 'session-node',
    corpus: [ROOT_TEXT, atLength(ROOT_TEXT), encodeNode(child(), SALT)],
    isRefusal: isFault,
    run: (input) => {
      const node = decodeNode(input, ROOT, SALT)
      same('node', decodeNode(encodeNode(node, SALT), ROOT, SALT), node)
    },
  },
  {
    name: 'session-record',
    corpus: RECORD_TEXT,
    isRefusal: isFault,
    run: (input) => {
      const value = frozenJson(input)
      if (!isJsonObject(value)) return
      const fields = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
      viewSession(SESSION_ID, new Map(fields), NOW)
    },
  },
  {
    name: 'control-text',
    corpus: ['cutoff 5 1000 2000 -', 'block 5 1000 - 7 3 900 5000', 'lift 5 1000 2000 -', 'block 6 1 2 -'],
    isRefusal: (error) => error instanceof Error && /control entry/.test(error.message),
    run: (input) => {
      const [head = '', ...rest] = input.split('\n')
      slotExpiryMs(head)
      mergedText(head, rest.join('\n') || 'block 7 1 2 -', 1_000)
      const set = new CutoffSet()
      const slots = ['cutoff|agent|x', 'block|pair|a|b', rest.join('\n')]
      for (const slot of slots)
        for (const entry of [parseEntry(slot, head), ...liveEntries(slot, head, 500)]) set.apply(entry)
      set.blocked('pair', 'a|b', 1_000)
      set.prune(2_000)
    },
  },
  {
    name: 'command-line',
    corpus: COMMANDS.flatMap(({ name, examples }) => [name, ...examples.map((line) => line.replace(/^errand /, ''))]),
    isRefusal: (error) => error instanceof UsageError,
    run: (input) => {
      const argv = input.split(' ').slice(0, 300)
      for (const command of COMMANDS) {
        const rest = argv.slice(command.name.split(' ').length)
        try {
          parseCommandArgs(command, rest)
        } catch (error) {
          if (!(error instanceof UsageError)) throw error
        }
      }
      looksLikeToken(input)
    },
  },
  {
    name: 'inspect',
    corpus: TOKENS,
    isRefusal: (error) => error instanceof Error && error.constructor === Error,
    run: (input) => assertPrintable(drawToken(input, NOW)),
  },
  drawing('draw-record', json(RECORD), (body) => drawRecord(body, plainStyles)),
  drawing('draw-session', json(SESSION), (body) => drawSession(body, NOW, plainStyles)),
  drawing('draw-sessions', json({ sessions: [SESSION, SESSION] }), (body) =>
    drawSessions(Array.isArray(body['sessions']) ? body['sessions'] : [], NOW, plainStyles),
  ),
  drawing(
    'draw-kill',
    json({
      revoked: { sessions: [{ session: 'ses_x', nodes: [{ node: 'nod_x', agent: 'x', tokens: 1 }] }] },
      audit: 'recorded',
    }),
    (body) => drawKill(body, { what: 'x', tokensOnly: false, note: undefined }, plainStyles),
  ),
  drawing(
    'draw-refusal',
    json({ error: 'invalid_scope', error_description: 'x', missing: ['a', 'b'], decision_id: 'dec_x' }),
    (body) => drawRefusal(body, plainStyles),
  ),
  {
    name: 'verifier',
    corpus: TOKENS,
    isRefusal: (error) => error instanceof TokenRefused,
    run: async (input) => {
      const believed = await verifier.verify(input)
      if (!TOKENS.includes(input)) throw new OracleError(`believes what was never signed, as ${believed.subject}`)
    },
  },
  {
    name: 'revocation-feed',
    corpus: FEED,
    // The other is for the times of the store behind it, which the next connection may tell better.
    isRefusal: (error) =>
      error instanceof FeedBroken || (error as Error).message === 'the clock behind the feed has jumped',
    run: async (input) => {
      const view = new RevocationView(new ManualClock(), systemTicks)
      async function* bytes() {
        yield Buffer.from(input)
      }
      view.connecting()
      for await (const { event, data } of readEvents(bytes())) view.apply(decodeEvent(event, data))
      // However it was told, what it was told of is dead for whoever knows of nothing.
      if (input === FEED[0] && !view.isCutOff([['user', 'alice']], 1)) throw new OracleError('a cut-off is lost')
    },
  },
  {
    name: 'tool-call',
    corpus: json({ table: 'revenue', limit: 5 }, { query: { table: { const: 'revenue' }, limit: { maximum: 5 } } }),
    isRefusal: isRejection,
    run: (input) => {
      const value = frozenJson(input)
      const call = { tool: 'query', arguments: value as Record<string, unknown> }
      const constraints = parseToolConstraints({ table: { const: 'revenue' }, limit: { maximum: 5 } }, 'x')
      const held = { scopes: ['s'], tools: new Map([['query', constraints]]), limits: {}, revokedTools: new Set() }
      const refusal = toolCallRefusal(held as never, call, new Map([['query', 's']]))
      const args = isJsonObject(value) ? value : {}
      const allowed = args['table'] === 'revenue' && typeof args['limit'] === 'number' && args['limit'] <= 5
      if (refusal === undefined && (!allowed || Object.keys(args).length !== 2))
        throw new OracleError('a call outside the intent')
      if (refusal !== undefined)
        challengeHeader({ resourceMetadata: RESOURCE, scopes: [], description: refusal.description })
      parseToolConstraints(value, 'x')
    },
  },
  {
    name: 'challenge',
    corpus: ['the token has expired', JSON.stringify(claims())],
    isRefusal: never,
    run: (input) => {
      const header = challengeHeader({
        resourceMetadata: RESOURCE,
        scopes: [input, 'a'],
        error: 'invalid_token',
        description: input,
      })
      new Headers({ 'WWW-Authenticate': header })
      if ((header.match(/"/g) ?? []).length % 2 !== 0) throw new OracleError('a quote that was not closed')
    },
  },
]
