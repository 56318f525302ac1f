/**
 * Requests of the workloads, made before they are sent, so that nothing is signed while something is measured. Assertions are
 * fresh for every request and shared by the systems, each of which sees one for the first time.
 */
import { createPrivateKey, type JsonWebKey, type KeyObject, randomUUID, sign } from 'node:crypto'
import { p1363FromDer } from '../../src/jose/ecdsa-form.ts'

export const WORKLOADS = ['open', 'continue', 'new'] as const
export type Workload = (typeof WORKLOADS)[number]

/** How a system wants to be asked. */
export type Dialect = 'errand' | 'peer' | 'floor'

/** What the load generator knows of the company; keys as JWK, because it is another process. */
export interface Facts {
  readonly issuer: string
  readonly idp: { readonly issuer: string; readonly key: JsonWebKey & { readonly kid: string } }
  readonly agents: readonly {
    readonly clientId: string
    readonly upstreamId: string
    readonly key: JsonWebKey & { readonly kid: string }
  }[]
  readonly users: readonly string[]
  /** Intents that are asked for in turn. */
  readonly intents: readonly {
    readonly resource: string
    readonly scope: string
    readonly details: string
    /** What is passed on at each hop. */
    readonly delegations: readonly string[]
  }[]
}

/** A token that may be exchanged, and by whom. */
export interface Subject {
  readonly agent: number
  /** What it is exchanged for: an index of the intents. */
  readonly intent: number
  readonly token: string
}

export interface Draft {
  readonly subject: Subject
  readonly assertion: string
}

export const TYPE = {
  access: 'urn:ietf:params:oauth:token-type:access_token',
  id: 'urn:ietf:params:oauth:token-type:id_token',
  session: 'urn:errand:token-type:session',
  delegation: 'urn:errand:token-type:delegation',
} as const

/** Of 100 subject tokens in *open*, so many were never seen before. */
const NEW_PERCENT = 13
/** Tokens in use at a time: an agent comes back with the same one. */
const TOKENS_IN_USE = 500
const ASSERTION_SECONDS = 240
const ID_TOKEN_SECONDS = 7200

export class RequestMaker {
  readonly #facts: Facts
  readonly #idpKey: Signer
  readonly #agentKeys: readonly Signer[]
  /** Tokens that every system has seen. */
  readonly #inUse: Subject[] = []
  /** Begins its ids, so that no two makers give the same one. */
  readonly #run = randomUUID()
  #made = 0
  #replaced = 0

  constructor(facts: Facts) {
    this.#facts = facts
    this.#idpKey = signer(facts.idp.key)
    this.#agentKeys = facts.agents.map(({ key }) => signer(key))
  }

  /** Requests that let every system see every token in use once. @param count of tokens in use, at most `TOKENS_IN_USE` */
  firstSight(count: number): readonly Draft[] {
    while (this.#inUse.length < Math.min(count, TOKENS_IN_USE)) this.#inUse.push(this.#newSubject())
    return this.#inUse.map((subject) => this.#draft(subject))
  }

  /** *new*: no subject token repeats. Else 13 of 100 are new; those are in use from the next call on. */
  make(workload: 'open' | 'new', count: number): readonly Draft[] {
    const fresh: Subject[] = []
    const drafts = Array.from({ length: count }, (_, index) => {
      const known = this.#inUse[(index * 7919 + this.#made) % Math.max(1, this.#inUse.length)]
      if (workload === 'open' && known !== undefined && (index * 37) % 100 >= NEW_PERCENT) return this.#draft(known)
      const subject = this.#newSubject()
      fresh.push(subject)
      return this.#draft(subject)
    })
    if (workload === 'open' && this.#inUse.length > 0) {
      for (const subject of fresh) this.#inUse[this.#replaced++ % this.#inUse.length] = subject
    }
    return drafts
  }

  /** *continue*: the tokens that a system has given out before, in turn. Assertions are what is fresh. */
  makeFor(subjects: readonly Subject[], count: number): readonly Draft[] {
    return Array.from({ length: count }, (_, index) => {
      const subject = subjects[index % subjects.length]
      if (subject === undefined) throw new Error('there is nothing to continue')
      return this.#draft(subject)
    })
  }

  #newSubject(): Subject {
    this.#made += 1
    const { agents, users, idp, intents } = this.#facts
    const agent = this.#made % agents.length
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: idp.issuer,
      sub: users[(this.#made * 31) % users.length],
      aud: agents[agent]?.upstreamId,
      iat: now - 5,
      exp: now + ID_TOKEN_SECONDS,
      auth_time: now - 60,
      amr: ['pwd', 'otp'],
      acr: 'urn:mace:incommon:iap:silver',
      jti: `${this.#run}-${this.#made}`,
    }
    return { agent, intent: agent % intents.length, token: this.#idpKey({}, claims) }
  }

  #draft(subject: Subject): Draft {
    this.#made += 1
    const { agents, issuer } = this.#facts
    const client = agents[subject.agent]?.clientId
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: client, sub: client, aud: issuer, iat: now, exp: now + ASSERTION_SECONDS }
    const assertion = this.#agentKeys[subject.agent]?.(
      { typ: 'client-authentication+jwt' },
      { ...claims, jti: `${this.#run}-${this.#made}` },
    )
    if (assertion === undefined) throw new Error('an agent has no key')
    return { subject, assertion }
  }
}

type Signer = (header: object, claims: object) => string

function signer(jwk: JsonWebKey & { readonly kid: string }): Signer {
  const key: KeyObject = createPrivateKey({ key: jwk, format: 'jwk' })
  return (header, claims) => {
    const head = JSON.stringify({ alg: 'ES256', kid: jwk.kid, ...header })
    const input = `${encode(head)}.${encode(JSON.stringify(claims))}`
    return `${input}.${p1363FromDer(sign('sha256', Buffer.from(input), key), 'P-256').toString('base64url')}`
  }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url')
}

/** What is asked: a workload, or what *continue* needs before it. */
export type Ask = 'open' | 'openSession' | 'continue' | 'delegate' | 'accept'

const SUBJECT_TYPE: Readonly<Record<Ask, string>> = {
  open: TYPE.id,
  openSession: TYPE.id,
  continue: TYPE.session,
  delegate: TYPE.session,
  accept: TYPE.delegation,
}
const WANTED: Readonly<Record<Ask, string>> = {
  open: TYPE.access,
  openSession: TYPE.session,
  continue: TYPE.access,
  delegate: TYPE.delegation,
  accept: TYPE.session,
}

/** How drafts become requests on the wire: the form of each intent is encoded once. */
export class RequestWriter {
  readonly #facts: Facts
  readonly #ask: Ask
  readonly #forms: readonly string[]

  /** @param hop which delegation is asked for, from 1 */
  constructor(facts: Facts, dialect: Dialect, ask: Ask, hop = 0) {
    this.#facts = facts
    this.#ask = ask
    const form = dialect === 'peer' ? peerForm : errandForm
    this.#forms = facts.intents.map((intent) =>
      new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        ...form(intent, ask, hop),
      }).toString(),
    )
  }

  write({ subject, assertion }: Draft): string {
    const { agents } = this.#facts
    const delegate = agents[(subject.agent + 1) % agents.length]?.clientId
    const audience = this.#ask === 'delegate' ? `&audience=${delegate}` : ''
    const body = `${this.#forms[subject.intent]}${audience}&subject_token=${subject.token}&client_assertion=${assertion}`
    return `POST /token HTTP/1.1\r\nHost: broker.example\r\nAccept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }
}

type Form = (intent: Facts['intents'][number], ask: Ask, hop: number) => Readonly<Record<string, string>>

/** The floor is asked as Errand is: it reads the same bytes. */
const errandForm: Form = ({ resource, details, delegations }, ask, hop) => ({
  subject_token_type: SUBJECT_TYPE[ask],
  requested_token_type: WANTED[ask],
  ...(WANTED[ask] === TYPE.access ? { resource } : {}),
  ...(SUBJECT_TYPE[ask] === TYPE.id ? { authorization_details: details } : {}),
  ...(ask === 'delegate' ? { authorization_details: delegations[hop - 1] ?? '' } : {}),
})

/** It knows access tokens only, and scopes instead of intents. */
const peerForm: Form = ({ resource, scope }, ask) => ({
  subject_token_type: ask === 'continue' ? TYPE.access : TYPE.id,
  requested_token_type: TYPE.access,
  resource,
  scope,
})
