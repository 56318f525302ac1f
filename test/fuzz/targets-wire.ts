/** Parsers of what strangers send: parameters, tokens, keys, headers, orders. */
import { X509Certificate } from 'node:crypto'
import type { Context } from 'hono'
import { parseActorChain } from '../../src/authority/actor-chain.ts'
import { admits, isNarrower, meetArgument, parseArgumentConstraint } from '../../src/authority/argument-constraint.ts'
import { parseDetails } from '../../src/authority/details.ts'
import { integerClaim, nameClaim, nameListClaim, optionalNameClaim } from '../../src/credentials/claim.ts'
import { parseTokenRequest } from '../../src/flows/token-request.ts'
import { decodeOrder } from '../../src/http/decode-order.ts'
import { readFacts, readPresented } from '../../src/http/request.ts'
import { normaliseHead, UNREADABLE_PATH } from '../../src/http/request-head.ts'
import { sourceReader } from '../../src/http/source-address.ts'
import { decodeBase64url, encodeBase64url } from '../../src/jose/base64url.ts'
import { parseCnf } from '../../src/jose/cnf.ts'
import { decodeJws, decodeJwt, decodeProof, peekIssuer } from '../../src/jose/decode-jws.ts'
import { derFromP1363, p1363FromDer } from '../../src/jose/ecdsa-form.ts'
import { importPublicJwk, thumbprint } from '../../src/jose/jwk.ts'
import { JwtError } from '../../src/jose/jwt-error.ts'
import { parseKeySet } from '../../src/jose/key-set.ts'
import { parseSpiffeBundle } from '../../src/jose/spiffe-bundle.ts'
import { parseStrictJson } from '../../src/jose/strict-json.ts'
import { JSON_DEPTH_MAX } from '../../src/kernel/limits.ts'
import { Rejection } from '../../src/kernel/rejection.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { literalAddress } from '../../src/net/addresses.ts'
import { Form } from '../../src/protocol/form.ts'
import { canonicalResource } from '../../src/protocol/resource.ts'
import { formatScope, parseScope } from '../../src/protocol/scope.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'
import { killOrder, liftOrder } from '../../src/revocation/kill-order.ts'
import { makeAuthority } from '../support/certificates.ts'
import { proof } from '../support/dpop.ts'
import { publicJwk, sign, testKey } from '../support/keys.ts'
import { DELEGATED, INTENT } from '../support/world.ts'
import { OracleError, type Target } from './harness.ts'

export const isRejection = (error: unknown) => error instanceof Rejection
export const isJwtError = (error: unknown) => error instanceof JwtError
export const never = () => false

export function same(what: string, a: unknown, b: unknown): void {
  if (JSON.stringify(a) !== JSON.stringify(b)) throw new OracleError(`${what} gives two answers`)
}

/** JSON as its reader would have it, frozen: whoever writes to it throws. What is no JSON is none of the target's business. */
export function frozenJson(input: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(input)
  } catch {
    return input
  }
  return freeze(value)
}

function freeze(value: unknown): unknown {
  const waiting = [value]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null) continue
    Object.freeze(next)
    waiting.push(...Object.values(next).filter((member) => member !== undefined))
  }
  return value
}

const EC = testKey('fuzz')
const AUTHORITY = new X509Certificate((await makeAuthority()).certificate).raw.toString('base64')
const CLAIMS = { iss: 'https://idp.example', sub: 'alice', aud: ['a', 'b'], iat: 1, exp: 2, jti: 'x', amr: ['pwd'] }
const TOKENS = [
  sign({ key: EC, header: { typ: 'at+jwt' }, claims: CLAIMS }).reveal(),
  sign({ key: EC, header: { typ: 'JWT', kid: 'é' }, claims: { ...CLAIMS, act: { iss: 'x', sub: 'y' } } }).reveal(),
]
const PROOFS = [EC, testKey('fuzz', 'RS256'), testKey('fuzz', 'Ed25519')].map((key) =>
  proof({ issuer: 'https://errand.example', now: () => 1 }, key, { claims: { nonce: 'x', ath: 'y' } }),
)
const CHAIN = {
  iss: 'https://errand.example',
  sub: 'agent:b',
  sub_profile: 'ai_agent',
  act: { iss: 'https://errand.example', sub: 'agent:a' },
}
const FORMS = [
  new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: TOKENS[0] ?? '',
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    actor_token: TOKENS[1] ?? '',
    actor_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    requested_token_type: 'urn:errand:token-type:session',
    authorization_details: JSON.stringify(INTENT),
    scope: 'mcp:tools:read mcp:tools:write',
    resource: 'https://warehouse.example/mcp',
    agent_instance: 'pod-1',
  }).toString(),
  'grant_type=client_credentials&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example&audience=x&scope=',
]

/** As much of hono's context as the readers of headers look at. */
function contextOf(headers: readonly (readonly [string, string])[]): Context {
  const rawHeaders = headers.flat()
  return { env: { incoming: { rawHeaders, headers: {}, socket: { remoteAddress: '10.0.0.1' } } } } as unknown as Context
}

const json = (...values: readonly unknown[]) => values.map((value) => JSON.stringify(value))

const CONSTRAINTS = json(
  { const: 'x' },
  { enum: ['a', 1, true] },
  { minimum: 1, maximum: 9 },
  { maxLength: 5, prefix: 'ab' },
  { maxItems: 3 },
  {},
)

export const WIRE_TARGETS: readonly Target[] = [
  {
    name: 'form',
    corpus: FORMS,
    isRefusal: isRejection,
    run: (input) => {
      const form = Form.parse(input, ['state'])
      if (form.all('resource').includes('')) throw new OracleError('an empty value is a value')
      for (const name of ['__proto__', 'constructor']) {
        const value: unknown = form.get(name)
        if (value !== undefined && typeof value !== 'string') throw new OracleError('a value that was not sent')
      }
    },
  },
  {
    name: 'token-request',
    corpus: FORMS,
    isRefusal: isRejection,
    run: (input) => parseTokenRequest(Form.parse(input)),
  },
  {
    name: 'scope',
    corpus: ['mcp:tools:read mcp:tools:write', 'a', 'a b c a'],
    isRefusal: isRejection,
    run: (input) => {
      const scopes = parseScope(input)
      same('scope', parseScope(formatScope(scopes)), scopes)
    },
  },
  {
    name: 'resource',
    corpus: ['https://warehouse.example/mcp', 'http://[::1]:8080/a/b?c=d', 'HTTPS://EXAMPLE.com:443/'],
    isRefusal: isRejection,
    run: (input) => {
      const canonical = canonicalResource(input)
      if (/[\s\\#]/.test(canonical)) throw new OracleError('a canonical form that is none')
      // One slash at its end is dropped, not all of them: a second one is another resource.
      if (!/\/(\?|$)/.test(canonical)) same('resource', canonicalResource(canonical), canonical)
    },
  },
  {
    name: 'details',
    corpus: json(INTENT, DELEGATED),
    isRefusal: (error) => isRejection(error) || isJwtError(error),
    run: (input) => parseDetails(parseStrictJson(input)),
  },
  {
    name: 'details-value',
    corpus: json(INTENT, DELEGATED),
    isRefusal: isRejection,
    run: (input) => parseDetails(frozenJson(input)),
  },
  {
    name: 'constraint',
    corpus: CONSTRAINTS,
    isRefusal: isRejection,
    run: (input) => {
      const constraint = parseArgumentConstraint(frozenJson(input), 'x')
      same('constraint', parseArgumentConstraint(JSON.parse(JSON.stringify(constraint)), 'x'), constraint)
      if (!isNarrower(constraint, constraint)) throw new OracleError('a constraint is wider than itself')
      same('meet', meetArgument(constraint, constraint), constraint)
      admits(constraint, 'x'.repeat(2_000))
    },
  },
  {
    name: 'actor-chain',
    corpus: json(CHAIN, CHAIN.act),
    isRefusal: isRejection,
    run: (input) => {
      const chain = parseActorChain(frozenJson(input))
      same('chain', parseActorChain(chain), chain)
    },
  },
  {
    name: 'claims',
    corpus: json(CLAIMS, { iss: 'x' }),
    isRefusal: isJwtError,
    run: (input) => {
      const claims = frozenJson(input)
      if (typeof claims !== 'object' || claims === null) return
      const own = claims as Readonly<Record<string, unknown>>
      optionalNameClaim(own, 'jti')
      nameClaim(own, 'iss')
      integerClaim(own, 'iat')
      nameListClaim(own, 'amr', 0, 16)
    },
  },
  {
    name: 'strict-json',
    corpus: json(INTENT, CLAIMS, CHAIN, [1, 2.5, -0.1, 1e-7, true, null]),
    isRefusal: isJwtError,
    run: (input) => {
      const accepted = accepts(() => parseStrictJson(input))
      // White space outside changes nothing, and is always read the long way.
      if (accepted !== accepts(() => parseStrictJson(` ${input}`))) throw new OracleError('two ways of reading differ')
      if (!accepted) return
      if (depthOf(JSON.parse(input)) > JSON_DEPTH_MAX) throw new OracleError('deeper than it may be')
    },
    growth: [(times) => `[${'"\\\\",'.repeat(times / 5)}1]`, (times) => `"${'é'.repeat(times)}"`],
  },
  {
    name: 'base64url',
    corpus: ['', 'AA', 'AAA', 'AAAA', '-_-_', 'eyJhbGciOiJFUzI1NiJ9'],
    isRefusal: isJwtError,
    run: (input) => same('base64url', encodeBase64url(decodeBase64url(input, 'it')), input),
  },
  { name: 'jws', corpus: TOKENS, isRefusal: isJwtError, run: (input) => decodeJws(new Secret(input)) },
  {
    name: 'jwt',
    corpus: TOKENS,
    isRefusal: isJwtError,
    run: (input) => {
      const { claims, header } = decodeJwt(new Secret(input))
      if (Array.isArray(claims) || !/^(ES|PS|RS|Ed)/.test(header.alg)) throw new OracleError('not a signed JWT')
      peekIssuer(new Secret(input))
    },
  },
  {
    name: 'jwk',
    corpus: json(publicJwk(EC), publicJwk(testKey('rsa', 'RS256')), publicJwk(testKey('ed', 'Ed25519'))),
    isRefusal: isJwtError,
    run: (input) => {
      const jwk = frozenJson(input)
      if (importPublicJwk(jwk).key.type !== 'public') throw new OracleError('not a public key')
      thumbprint(jwk)
    },
  },
  {
    name: 'jwks',
    corpus: json({ keys: [publicJwk(EC), publicJwk(testKey('rsa', 'RS256'))] }, { keys: [] }),
    isRefusal: isJwtError,
    run: (input) => parseKeySet(frozenJson(input), ['ES256', 'RS256', 'EdDSA']),
  },
  {
    name: 'spiffe-bundle',
    corpus: json({
      keys: [
        { ...publicJwk(EC), use: 'jwt-svid' },
        { use: 'x509-svid', x5c: [AUTHORITY] },
      ],
      spiffe_sequence: 1,
      spiffe_refresh_hint: 300,
    }),
    isRefusal: isJwtError,
    run: (input) => parseSpiffeBundle(frozenJson(input)),
  },
  {
    name: 'spiffe-id',
    corpus: ['spiffe://example.org/ns/agents/sa/report-agent', 'spiffe://example.org', 'spiffe://a_b.c-d/..x/%2e'],
    isRefusal: never,
    run: (input) => {
      const parsed = parseSpiffeId(input)
      if (parsed === undefined) return
      const url = new URL(input)
      same('SPIFFE ID', [url.href, url.host, url.pathname], [input, parsed.trustDomain, parsed.path])
    },
  },
  {
    name: 'dpop-proof',
    corpus: PROOFS,
    isRefusal: isJwtError,
    run: (input) => {
      const { header, jwk, claims, signingInput } = decodeProof(new Secret(input))
      const [head = '', payload = ''] = input.split('.')
      const said = JSON.parse(Buffer.from(head, 'base64url').toString())
      same('jwk', jwk, said.jwk)
      same('alg', header.alg, said.alg)
      same('claims', claims, JSON.parse(Buffer.from(payload, 'base64url').toString()))
      same('signing input', signingInput, `${head}.${payload}`)
      // A key that is taken has one thumbprint, whatever else its JWK says.
      importPublicJwk(jwk, header.alg)
      same('thumbprint', thumbprint(jwk), thumbprint({ ...(jwk as object), kid: 'another', use: 'sig' }))
    },
  },
  {
    name: 'cnf',
    corpus: json({ jkt: 'A'.repeat(43) }, { 'x5t#S256': 'A'.repeat(43) }, { jkt: 'A'.repeat(43), kid: 'x' }, {}),
    isRefusal: isJwtError,
    run: (input) => {
      const { kind, thumbprint } = parseCnf(frozenJson(input))
      same('cnf', { [kind]: thumbprint }, JSON.parse(input))
      if (Buffer.from(thumbprint, 'base64url').length !== 32) throw new OracleError('no SHA-256')
    },
  },
  {
    name: 'ecdsa-form',
    corpus: ['\x01'.repeat(64), `${'\x00'.repeat(63)}\x01`, '\xff'.repeat(64), '\x7f'.repeat(96), '\x01'.repeat(132)],
    isRefusal: never,
    run: (input) => {
      const bytes = Buffer.from(input, 'latin1')
      for (const crv of ['P-256', 'P-384', 'P-521'] as const) {
        const der = derFromP1363(bytes, crv)
        if (der !== undefined) same('signature', p1363FromDer(der, crv).toString('hex'), bytes.toString('hex'))
      }
    },
  },
  {
    name: 'forwarded-for',
    corpus: ['10.0.0.1, 192.0.2.7', '2001:db8::1, ::ffff:10.0.0.1', '[2001:db8::1]:80'],
    isRefusal: never,
    run: (input) => {
      const reader = sourceReader(['10.0.0.0/8', '::1'])
      if (reader('192.0.2.1', input) !== '192.0.2.1') throw new OracleError('a stranger names another source')
      const source = reader('10.0.0.1', input)
      if (source !== '10.0.0.1' && literalAddress(source) === undefined) throw new OracleError('no address')
      reader(input, undefined)
    },
  },
  {
    name: 'bearer',
    corpus: TOKENS.map((token) => `Bearer ${token}`),
    isRefusal: isRejection,
    run: (input) => {
      const req = { method: 'GET', path: '/sessions' }
      const context = Object.assign(contextOf([['Authorization', input]]), { req })
      readPresented(context, readFacts(context, sourceReader([])), 'https://errand.example')
    },
  },
  {
    name: 'correlation',
    corpus: ['req-1:a.B_2', '0af7651916cd43dd8448eb211c80319c'],
    isRefusal: never,
    run: (input) => {
      const { correlation } = readFacts(contextOf([['X-Request-Id', input]]), sourceReader([]))
      if (correlation !== undefined && !/^[\w.:-]{1,128}$/.test(correlation)) throw new OracleError('not fit for a log')
    },
  },
  {
    name: 'request-head',
    corpus: ['/token', '/sessions/ses_x/nodes/nod_y?limit=5', 'http://errand.example/jwks'],
    isRefusal: never,
    run: (input) => {
      const incoming = { url: input, httpVersion: '1.1', rawHeaders: ['Host', 'x'], headers: { host: 'x' } }
      normaliseHead(incoming)
      const path = incoming.url.split('?')[0] ?? ''
      if (!path.startsWith('/') || (path !== UNREADABLE_PATH && /\/\.{1,2}(\/|$)|\/\/|[%\\]/.test(path))) {
        throw new OracleError('a path with two meanings')
      }
      new URL(`http://${incoming.headers.host}${incoming.url}`)
    },
  },
  {
    name: 'address',
    corpus: ['127.0.0.1', '[::1]', '0x7f.1', 'localhost', '::ffff:127.0.0.1'],
    isRefusal: never,
    run: (input) => literalAddress(input),
  },
  {
    name: 'order',
    corpus: json(
      { dimension: 'agent', agent: 'x', block: true },
      { dimension: 'user_agent', user: 'user:corp:x', agent: 'x' },
      { dimension: 'node', session: 'ses_x', node: 'nod_x' },
      { kind: 'pair', id: 'user:corp:x|y' },
    ),
    isRefusal: isRejection,
    run: (input) => {
      const kill = accepts(() => decodeOrder(killOrder, input))
      if (!kill) decodeOrder(liftOrder, input)
    },
  },
]

/** Whatever else it throws than its refusal is a failure. */
function accepts(parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch (error) {
    if (isJwtError(error) || isRejection(error)) return false
    throw error
  }
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}
