/**
 * What an Errand token says, for people and scripts: kind, who, authority, time left, and what would kill it.
 *
 * Does not validate: nothing here is checked but what `verified` says its caller has checked. A drawing is not a decision.
 */
import { slugOf } from '../../authority/dimensions.ts'
import { versionsNamed } from '../../authority/token-facts.ts'
import { ALGORITHM_NAMES } from '../../jose/algorithms.ts'
import { type Confirmation, parseCnf } from '../../jose/cnf.ts'
import { decodeJwt } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import type { KeySet } from '../../jose/key-set.ts'
import { verifyJws } from '../../jose/verify-jws.ts'
import { Secret } from '../../kernel/secret.ts'
import { apiAudience } from '../../model/settings.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { type Branch, drawChain, drawTree, durationWords, plainStyles, type Styles, time } from '../terminal.ts'
import { type AuthorityWords, authorityTree, authorityWords } from './inspect-authority.ts'

const ACCESS = 'access token'
const DELEGATION = 'delegation token'
const ID_JAG = 'ID-JAG'
const KINDS: ReadonlyMap<string, string> = new Map([
  [JWT_TYP.accessToken, ACCESS],
  [JWT_TYP.session, 'session token'],
  [JWT_TYP.delegation, DELEGATION],
  [JWT_TYP.management, 'management token'],
  [JWT_TYP.idJag, ID_JAG],
])

export interface DiesWith {
  readonly what:
    | ('key' | 'session' | 'session_access' | 'node' | 'agent' | 'agent_version')
    | ('user' | 'user_agent' | 'issuer' | 'resource')
  readonly id: string
}

/** The `--json` form. */
export interface TokenReport {
  readonly kind: string
  readonly verified: boolean
  readonly issuer: string | undefined
  readonly audience: string | undefined
  /** Of an ID-JAG: the server that its audience is to give a token for. */
  readonly resource: string | undefined
  /** From the one it is about to the one who acts now. */
  readonly chain: readonly string[]
  readonly client_id: string | undefined
  /** The agent that may accept a delegation token. */
  readonly offered_to: string | undefined
  readonly authority: AuthorityWords
  readonly session: string | undefined
  /** The key without which it is worth nothing (`cnf`). */
  readonly bound_to: Confirmation | undefined
  readonly issued_at: number | undefined
  readonly expires_at: number | undefined
  readonly seconds_left: number | undefined
  readonly not_after: number | undefined
  readonly dies_with: readonly DiesWith[]
}

/**
 * @param now epoch seconds
 * @param verified whether the caller has verified the token's signature
 * @throws Error in plain words when the text is no token of Errand's. It never repeats the text.
 */
export function inspectToken(text: string, now: number, verified = false): TokenReport {
  const { header, claims } = decode(text)
  const kind = kindOf(header.typ, claims)
  if (kind === undefined) throw new Error('this is a JWT, but its typ is none of Errand: perhaps a token of your IdP')
  const expiresAt = numberOf(claims['exp'])
  return {
    kind,
    verified,
    issuer: textOf(claims['iss']),
    audience: textOf(claims['aud']),
    resource: kind === ID_JAG ? textOf(claims['resource']) : undefined,
    chain: chainOf(claims),
    client_id: textOf(claims['client_id']),
    offered_to: kind === DELEGATION ? textOf(claims['aud']) : undefined,
    authority: authorityWords(claims),
    session: textOf(claims['sid']),
    bound_to: boundTo(claims['cnf']),
    issued_at: numberOf(claims['iat']),
    expires_at: expiresAt,
    seconds_left: expiresAt === undefined ? undefined : expiresAt - now,
    not_after: numberOf(claims['not_after']),
    dies_with: diesWith(kind, header.kid, claims),
  }
}

export function drawToken(text: string, now: number, verified = false, styles: Styles = plainStyles): string {
  return drawReport(inspectToken(text, now, verified), styles)
}

/** Claims and chain, for drawings made elsewhere. */
export function decodeForDrawing(text: string): { readonly claims: JsonObject; readonly chain: readonly string[] } {
  const { claims } = decode(text)
  return { claims, chain: chainOf(claims) }
}

function decode(text: string) {
  try {
    return decodeJwt(new Secret(text.trim()))
  } catch (error) {
    if (error instanceof JwtError) throw new Error(`this is not a token: ${error.message}`)
    throw error
  }
}

/** RFC 9068 makes no difference between a server's token and the one for the broker's own API: the audience does. */
function kindOf(typ: string | undefined, claims: JsonObject): string | undefined {
  const kind = KINDS.get(typ ?? '')
  const issuer = textOf(claims['iss'])
  return kind === ACCESS && issuer !== undefined && claims['aud'] === apiAudience(issuer) ? 'API token' : kind
}

/** @throws Error in plain words: bound in a way that nobody here can check is no token to call unbound. */
function boundTo(cnf: unknown): Confirmation | undefined {
  try {
    return cnf === undefined ? undefined : parseCnf(cnf)
  } catch (error) {
    if (error instanceof JwtError) throw new Error(`this is not a token: ${error.message}`)
    throw error
  }
}

/** Whether one of the keys signed it: all that may be said of a token whose times and audience are not asked about. */
export async function isSignedBy(text: string, keys: KeySet): Promise<boolean> {
  try {
    await verifyJws(decode(text), { keys, algorithms: ALGORITHM_NAMES })
    return true
  } catch (error) {
    if (error instanceof JwtError) return false
    throw error
  }
}

/** RFC 8693 §4.1: `act` is newest outermost; told here in the order it happened. */
function chainOf(claims: JsonObject): string[] {
  const actors: string[] = []
  for (let act = jsonObject(claims['act']); textOf(act['sub']) !== undefined; act = jsonObject(act['act'])) {
    actors.unshift(textOf(act['sub']) ?? '')
  }
  return [textOf(claims['sub']) ?? 'nobody', ...actors]
}

function diesWith(kind: string, kid: string | undefined, claims: JsonObject): DiesWith[] {
  const session = textOf(claims['sid'])
  const nodes = Array.isArray(claims['anc']) ? claims['anc'].flatMap((id) => textOf(id) ?? []) : []
  // A delegation token is the hop it will become.
  const offered = kind === DELEGATION ? textOf(claims['jti']) : undefined
  const chain = chainOf(claims)
  const agents = chain.filter((member) => member.startsWith('agent:')).map((member) => member.slice('agent:'.length))
  const user = chain[0]?.startsWith('user:') ? chain[0] : undefined
  const versions = versionsNamed(textOf(claims['client_id']) ?? '', claims['agent']) ?? []
  const [issuer, resource] = [slugOf(user), kind === ACCESS ? textOf(claims['aud']) : undefined]
  // It is good elsewhere, where nobody hears of our cut-offs: only the key that it is verified with can be taken away.
  if (kind === ID_JAG) return kid === undefined ? [] : [{ what: 'key', id: kid }]
  return [
    ...(session === undefined ? [] : [{ what: 'session', id: session } as const]),
    ...(session === undefined || kind !== ACCESS ? [] : [{ what: 'session_access', id: session } as const]),
    ...[...nodes, ...(offered === undefined ? [] : [offered])].map((id) => ({ what: 'node', id }) as const),
    ...agents.map((id) => ({ what: 'agent', id }) as const),
    ...versions.map((id) => ({ what: 'agent_version', id: id.replace('|', '@') }) as const),
    ...(user === undefined ? [] : [{ what: 'user', id: user } as const]),
    ...(user === undefined ? [] : agents.map((agent) => ({ what: 'user_agent', id: `${user} × ${agent}` }) as const)),
    ...(issuer === undefined ? [] : [{ what: 'issuer', id: issuer } as const]),
    ...(resource === undefined || session === undefined ? [] : [{ what: 'resource', id: resource } as const]),
    ...(kid === undefined ? [] : [{ what: 'key', id: kid } as const]),
  ]
}

const DEATHS: Readonly<Record<DiesWith['what'], (id: string) => string>> = {
  session: (id) => `closing or revoking session ${id}`,
  session_access: () => 'cutting off the access tokens of that session',
  node: (id) => `revoking hop ${id}`,
  agent: (id) => `cutting off agent ${id}`,
  agent_version: (id) => `cutting off the build ${id}`,
  issuer: (id) => `cutting off every user of ${id}`,
  resource: (id) => `cutting off the access tokens for ${id}`,
  user: (id) => `cutting off ${id}`,
  user_agent: (id) => `cutting off the pair ${id}`,
  key: (id) => `killing key ${id}`,
}

const KEYS: Readonly<Record<Confirmation['kind'], string>> = { jkt: 'the DPoP key', 'x5t#S256': 'the certificate' }

function drawReport(report: TokenReport, styles: Styles): string {
  const trust = report.verified ? styles.good('signature verified') : styles.bad('not verified')
  const facts: [string, string | undefined][] = [
    ['from', report.issuer],
    ['for', report.audience],
    ['to reach', report.resource],
    ['session', report.session],
    ['bound to', report.bound_to && `${KEYS[report.bound_to.kind]} ${report.bound_to.thumbprint}`],
    ['time left', timeWords(report, styles)],
  ]
  const sections: [string, string[]][] = [
    ['who acts for whom', drawChain(chainWords(report))],
    ['may', drawTree(orNothing(authorityTree(report.authority), 'nothing is written in the token; the broker knows'))],
    ['would be killed by', drawTree(report.dies_with.map(({ what, id }) => ({ label: DEATHS[what](id) })))],
  ]
  return [
    `${styles.bold(report.kind)} · ${trust}`,
    ...facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${styles.dim(name.padEnd(10))} ${value}`])),
    ...sections.flatMap(([title, lines]) => ['', styles.bold(title), ...lines.map((line) => `  ${line}`)]),
    '',
  ].join('\n')
}

function chainWords({ chain, offered_to: offeredTo }: TokenReport): readonly string[] {
  return offeredTo === undefined ? chain : [...chain, `agent:${offeredTo}, once it accepts`]
}

function timeWords({ seconds_left: left, not_after: notAfter, expires_at: at }: TokenReport, styles: Styles): string {
  if (left === undefined) return styles.bad('no expiry: not a token to trust')
  if (left <= 0) return styles.bad(`none: expired ${durationWords(-left)} ago`)
  const ceiling = notAfter === undefined || notAfter === at ? '' : `; the authority behind it ends ${time(notAfter)}`
  return `${durationWords(left)}${ceiling}`
}

function orNothing(branches: Branch[], label: string): Branch[] {
  return branches.length === 0 ? [{ label }] : branches
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
