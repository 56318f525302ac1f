/** What `errand init` asks: each answer from its option, else from the person, else (with --yes) its default. */
import { hostname, userInfo } from 'node:os'
import { redisUrlProblem } from '../../config/store-schema.ts'
import { isJsonObject } from '../../jose/strict-json.ts'
import { JWKS_BYTES_MAX } from '../../kernel/limits.ts'
import { FETCH_TIMEOUT_MS } from '../../kernel/outbound-limits.ts'
import { createGuardedFetch } from '../../net/guarded-fetch.ts'
import { isLoopbackHost, urlProblem } from '../../registry/url-rules.ts'
import type { Args } from '../args.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import type { OptionSpecs } from '../options.ts'
import { type Choices, type IdpChoice, PORT_DEFAULT, type ToolChoice } from './scaffold.ts'

const CATEGORIES = ['read', 'write', 'destructive', 'admin']
const STORES = ['embedded', 'redis']

export const INIT_OPTIONS: OptionSpecs = {
  issuer: { value: 'URL', help: 'the broker’s issuer: the URL that clients know it by' },
  port: { value: 'N', help: 'the port it listens on' },
  store: { value: 'KIND', help: `where state lives: ${STORES.join(' or ')}`, oneOf: STORES },
  'redis-url': { value: 'URL', help: 'with --store redis: where, without a password' },
  'idp-issuer': { value: 'URL', help: 'the IdP whose users agents work for (none: agents work by themselves)' },
  'idp-jwks': { value: 'URL', help: 'its keys (default: as it says itself)' },
  'idp-slug': { value: 'SLUG', help: 'its short name: users are user:<slug>:<sub>' },
  user: { value: 'SUB', help: 'the first user, by sub' },
  agent: { value: 'ID', help: 'the first agent’s client id' },
  owner: { value: 'WHO', help: 'who answers for it' },
  server: { value: 'URL', help: 'the first MCP server' },
  tools: { value: 'TOOL:CATEGORY,…', help: `its tools; categories: ${CATEGORIES.join(', ')}` },
}

interface Question {
  readonly option: string
  readonly words: string
  readonly fallback: string
  /** What is wrong with an answer, or nothing. */
  problem(answer: string): string | undefined
}

/** @throws UsageError, CommandFailure where no answer comes */
export async function chooseEverything(args: Args, io: Io): Promise<Choices> {
  const ask = (question: Question) => answerTo(question, args, io)
  const issuer = await ask({
    option: 'issuer',
    words: 'Issuer: the URL that clients will know this broker by',
    // The port that was named: with another one in the issuer, nothing would answer where it says.
    fallback: `http://127.0.0.1:${args.whole('port', 1, 65_535) ?? PORT_DEFAULT}`,
    problem: urlProblem,
  })
  const url = new URL(issuer)
  const isLocal = url.protocol === 'http:' && isLoopbackHost(url.hostname)
  const port = await ask({
    option: 'port',
    words: 'Port it listens on, on this machine',
    fallback: isLocal && url.port !== '' ? url.port : String(PORT_DEFAULT),
    problem: (answer) =>
      /^[1-9]\d{0,4}$/.test(answer) && Number(answer) < 65536 ? undefined : 'must be a port number',
  })
  const store = await chooseStore(ask)
  const idp = await chooseIdp(ask, isLocal)
  const agent = await ask({
    option: 'agent',
    words: 'First agent: its client id',
    fallback: 'first-agent',
    problem: (answer) => (/^[A-Za-z0-9._~-]{1,128}$/.test(answer) ? undefined : 'letters, digits, "." "_" "~" "-"'),
  })
  const owner = await ask({
    option: 'owner',
    words: `Who answers for ${agent}`,
    fallback: `${userInfo().username}@${hostname()}`,
    problem: nonEmpty,
  })
  return {
    issuer,
    port: Number(port),
    environment: isLocal ? 'development' : 'production',
    store,
    idp,
    agent: { clientId: agent, owner },
    server: await chooseServer(ask),
  }
}

type Ask = (question: Question) => Promise<string>

async function answerTo(question: Question, args: Args, io: Io): Promise<string> {
  const { option, words, fallback } = question
  const given = args.text(option)
  if (given !== undefined || args.flag('yes')) {
    const answer = given ?? fallback
    const problem = question.problem(answer)
    if (problem !== undefined) throw new UsageError(`--${option}: ${problem}`)
    return answer
  }
  for (;;) {
    const shown = fallback === '' ? '' : ` ${io.styles.dim(`[${fallback}]`)}`
    const typed = await io.ask(`${words}${shown}: `)
    const answer = typed === '' ? fallback : typed
    const problem = question.problem(answer)
    if (problem === undefined) return answer
    io.err(`  ${problem}\n`)
  }
}

async function chooseStore(ask: Ask): Promise<Choices['store']> {
  const kind = await ask({
    option: 'store',
    words: 'Where state lives: embedded (one machine) or redis (several brokers)',
    fallback: 'embedded',
    problem: (answer) => (STORES.includes(answer) ? undefined : `one of ${STORES.join(', ')}`),
  })
  if (kind !== 'redis') return { kind: 'embedded' }
  const url = await ask({
    option: 'redis-url',
    words: 'Redis URL, without a password',
    fallback: 'redis://127.0.0.1:6379',
    problem: redisProblem,
  })
  return { kind: 'redis', url }
}

async function chooseIdp(ask: Ask, allowLoopback: boolean): Promise<IdpChoice | undefined> {
  const issuer = await ask({
    option: 'idp-issuer',
    words: 'Your IdP’s issuer URL, whose users agents work for (empty: none yet)',
    fallback: '',
    problem: (answer) => (answer === '' ? undefined : urlProblem(answer)),
  })
  if (issuer === '') return undefined
  const jwksUri = await ask({
    option: 'idp-jwks',
    words: 'Its keys (jwks_uri)',
    fallback: await discoverJwks(issuer, allowLoopback),
    problem: (answer) => (answer === '' ? 'needed: the IdP did not say it here' : urlProblem(answer)),
  })
  const slug = await ask({
    option: 'idp-slug',
    words: 'A short name for it: users are user:<name>:<sub>',
    fallback: 'corp',
    problem: (answer) => (/^[a-z0-9-]{1,32}$/.test(answer) ? undefined : 'lower-case letters, digits and "-"'),
  })
  const user = await ask({
    option: 'user',
    words: 'First user: the sub your IdP gives',
    fallback: 'alice',
    problem: nonEmpty,
  })
  return { issuer, jwksUri, slug, user }
}

/** OpenID Connect Discovery §4; empty where the IdP cannot be asked from here. */
async function discoverJwks(issuer: string, allowLoopback: boolean): Promise<string> {
  const fetchJson = createGuardedFetch({ allowLoopback })
  const bounds = { bytesMax: JWKS_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: ['application/json'] }
  try {
    const metadata = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, bounds)
    const uri = isJsonObject(metadata) ? metadata['jwks_uri'] : undefined
    return typeof uri === 'string' && urlProblem(uri) === undefined ? uri : ''
  } catch {
    return ''
  }
}

async function chooseServer(ask: Ask): Promise<Choices['server']> {
  const url = await ask({
    option: 'server',
    words: 'First MCP server: its URL',
    fallback: 'https://mcp.example/mcp',
    problem: urlProblem,
  })
  const tools = await ask({
    option: 'tools',
    words: `Its tools, as name:category (${CATEGORIES.join(', ')})`,
    fallback: 'search:read,create:write',
    problem: (answer) => {
      const parsed = parseTools(answer)
      return typeof parsed === 'string' ? parsed : undefined
    },
  })
  const parsed = parseTools(tools)
  if (typeof parsed === 'string') throw new CommandFailure(parsed)
  return { id: serverId(url), url, tools: parsed }
}

/** The tools, or what is wrong. */
function parseTools(text: string): readonly ToolChoice[] | string {
  const tools: ToolChoice[] = []
  for (const item of text.split(',')) {
    const [name = '', category = '', ...rest] = item.trim().split(':')
    if (!/^[A-Za-z0-9_.-]{1,128}$/.test(name) || rest.length > 0 || !CATEGORIES.includes(category)) {
      return `write name:category, separated by commas; categories are ${CATEGORIES.join(', ')}`
    }
    if (tools.some((tool) => tool.name === name)) return `${name} is named twice`
    tools.push({ name, category })
  }
  return tools
}

/** `warehouse` of https://warehouse.corp.example/mcp; a plain word where the host is an address. */
function serverId(url: string): string {
  const [label = ''] = new URL(url).hostname.split('.')
  return /^[a-z][a-z0-9-]*$/.test(label) && label !== 'localhost' ? label : 'server'
}

/** A password would end up in a file that is not private. */
function redisProblem(answer: string): string | undefined {
  const problem = redisUrlProblem(answer)
  if (problem !== undefined) return problem
  const { username, password } = new URL(answer)
  return username + password === ''
    ? undefined
    : 'no password here: name a file with the whole URL as url_file afterwards'
}

function nonEmpty(answer: string): string | undefined {
  return answer === '' ? 'needed' : undefined
}
