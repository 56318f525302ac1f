/**
 * Where the endpoints of the broker, or of an enterprise's identity provider, are (RFC 8414): asked of that server itself, by the issuer its user has configured and no other, and
 * kept. Nothing an MCP server says changes them.
 */
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import type { Ticks } from '../../kernel/clock.ts'
import { BrokerRefused, type JsonDoor } from '../broker/http.ts'
import { BrokerUnavailable, NotTrusted } from './agent-errors.ts'
import { isSecure } from './secure-url.ts'

export interface BrokerMetadata {
  readonly issuer: string
  readonly tokenEndpoint: string
  readonly revocationEndpoint: string | undefined
  /** The document as it was, for SDKs that want to see it. */
  readonly document: Readonly<Record<string, unknown>>
}

/** Endpoints move with the broker's operator, not with the hour. */
const FRESH_MS = 3_600_000

export class MetadataSource {
  readonly #issuer: string
  readonly #door: JsonDoor
  readonly #ticks: Ticks
  #known: { readonly metadata: BrokerMetadata; readonly atTicksMs: number } | undefined
  #flight: Promise<BrokerMetadata> | undefined

  constructor(issuer: string, door: JsonDoor, ticks: Ticks) {
    this.#issuer = issuer
    this.#door = door
    this.#ticks = ticks
  }

  /** @throws NotTrusted where the document is not this issuer's, BrokerUnavailable where there is none */
  async get(): Promise<BrokerMetadata> {
    const known = this.#known
    if (known !== undefined && this.#ticks.ticksMs() - known.atTicksMs < FRESH_MS) return known.metadata
    this.#flight ??= this.#fetch().finally(() => {
      this.#flight = undefined
    })
    try {
      return await this.#flight
    } catch (error) {
      // What it was an hour ago is better than nothing, where nobody says that it is something else.
      if (known !== undefined && error instanceof BrokerUnavailable) return known.metadata
      throw error
    }
  }

  async #fetch(): Promise<BrokerMetadata> {
    for (const url of documentsOf(this.#issuer)) {
      const text = await this.#read(url)
      if (text === undefined) continue
      const metadata = readMetadata(text, this.#issuer)
      this.#known = { metadata, atTicksMs: this.#ticks.ticksMs() }
      return metadata
    }
    throw new BrokerUnavailable(`${this.#issuer} publishes no metadata (RFC 8414)`)
  }

  /** `undefined`: there is none at this place. */
  async #read(url: string): Promise<string | undefined> {
    try {
      return await this.#door({ url })
    } catch (error) {
      const isElsewhere = error instanceof BrokerRefused && error.status >= 400 && error.status < 500
      if (isElsewhere && error.status !== 429) return undefined
      throw new BrokerUnavailable(`the metadata of ${this.#issuer} cannot be read at present`)
    }
  }
}

/** RFC 8414 §3.1, §5; OpenID Connect Discovery §4. */
function documentsOf(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.endsWith('/') ? pathname.slice(0, -1) : pathname
  const inserted = (name: string) => `${origin}/.well-known/${name}${path}`
  const oidc = 'openid-configuration'
  const appended = path === '' ? [] : [`${origin}${path}/.well-known/${oidc}`]
  return [inserted('oauth-authorization-server'), inserted(oidc), ...appended]
}

function readMetadata(text: string, issuer: string): BrokerMetadata {
  const document = parseJson(text, issuer)
  // RFC 8414 §3.3: another issuer's document would have our credential sent to that one's endpoints.
  if (document['issuer'] !== issuer) {
    throw new NotTrusted(`the metadata found for ${issuer} are of another issuer: give its own spelling`)
  }
  const endpoint = (name: string) => {
    const url = document[name]
    if (url === undefined) return undefined
    if (typeof url === 'string' && isSecure(url)) return url
    throw new NotTrusted(`the ${name} of ${issuer} is neither https nor on this machine`)
  }
  const tokenEndpoint = endpoint('token_endpoint')
  if (tokenEndpoint === undefined) throw new NotTrusted(`the metadata of ${issuer} name no token_endpoint`)
  return { issuer, tokenEndpoint, revocationEndpoint: endpoint('revocation_endpoint'), document }
}

function parseJson(text: string, issuer: string): Readonly<Record<string, unknown>> {
  try {
    const value = parseStrictJson(text)
    if (isJsonObject(value)) return value
  } catch {
    // Said below, without the text.
  }
  throw new NotTrusted(`the metadata of ${issuer} are not a JSON object`)
}
