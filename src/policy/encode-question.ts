/**
 * A question as JSON, and back: what was asked, kept beside the record of its answer, so that it can be asked again (DESIGN §6).
 *
 * Guarantees: every member is written, for one that is not is a type error; agents are written by name, for the policy version
 * that answered has them; the user is written as they were at that moment. Large parts are texts of their own, named by
 * digest: sessions of one agent share them.
 */
import type { Authority } from '../authority/authority.ts'
import { decodeAuthority, encodeAuthority } from '../authority/encode-authority.ts'
import { isPlainObject, type JsonObject, own } from '../authority/strict-object.ts'
import type { ClientId, DecisionId, PrincipalId, ResourceUrl } from '../kernel/ids.ts'
import { getOrInsertComputed } from '../kernel/maps.ts'
import { CONTENT_BYTES_MAX } from '../kernel/store-limits.ts'
import type { Agent, Service } from '../model/client.ts'
import { type Content, DigestedText } from '../model/commit.ts'
import type { Question } from '../model/decision.ts'
import type { User } from '../model/issuer.ts'
import { RISK_LEVELS } from '../model/risk.ts'
import { ANY_AGENT_ID, anyAgent } from './any-agent.ts'
import { decodeExternal, encodeExternal } from './encode-external.ts'

/** Characters from which on a part is a text of its own: below, its digest would save nothing. */
const PART_CHARS_MIN = 256

/** What is written of a question; whoever adds a member to `Question` writes and reads it here. */
type Written = Required<Omit<Question, 'id'>>

/** Collects the parts of one text, each once. */
export class Parts {
  readonly #texts = new Map<string, DigestedText>()

  /** The value where it is small, else the digest of its text. One that no store keeps is named all the same. */
  add(value: unknown): unknown {
    const text = JSON.stringify(value)
    if (text.length < PART_CHARS_MIN) return value
    return getOrInsertComputed(this.#texts, text, () => new DigestedText(text)).digest
  }

  get contents(): readonly Content[] {
    return [...this.#texts.values()].filter(({ text }) => Buffer.byteLength(text) <= CONTENT_BYTES_MAX)
  }
}

export function encodeQuestion(question: Question, parts: Parts): JsonObject {
  const authority = (given: Authority | undefined) => (given === undefined ? null : encodeInParts(given, parts))
  return {
    now: question.now,
    environment: question.environment,
    agent: question.agent.clientId,
    chain: question.chain.map(({ clientId }) => clientId),
    services: question.services.map(({ clientId }) => clientId),
    subject: question.subject,
    user: question.user === undefined ? null : parts.add(question.user),
    risk: question.risk ?? null,
    asked: authority(question.asked),
    askedExplicitly: question.askedExplicitly,
    parent: authority(question.parent),
    ceiling: authority(question.ceiling),
    target: question.target ?? null,
    container: question.container ?? null,
    external: parts.add(encodeExternal(question.external)),
    atCall: question.atCall,
    contracted: question.contracted,
  } satisfies Readonly<Record<keyof Written, unknown>>
}

export function encodeInParts(authority: Authority, parts: Parts): JsonObject {
  const { resources, ...rest } = encodeAuthority(authority)
  return { ...rest, resources: parts.add(resources) }
}

/** Where a stored question finds what it names. */
export interface QuestionSources {
  /** `undefined`: this policy does not have it. */
  agent(clientId: string): Agent | undefined
  service(clientId: string): Service | undefined
  /** The user to ask about, of whom this was known then. */
  user(then: User): User
  /** The text of a part; `undefined`: it is no longer kept. */
  part(digest: string): string | undefined
}

/** What a stored question names is not to be had: it cannot be asked again. */
export class QuestionUnreadable extends Error {
  readonly lacks: 'agent' | 'part'

  constructor(lacks: 'agent' | 'part', message: string) {
    super(message)
    this.name = 'QuestionUnreadable'
    this.lacks = lacks
  }
}

/** @throws QuestionUnreadable; Error where it is not what `encodeQuestion` wrote */
export function decodeQuestion(value: unknown, id: DecisionId, sources: QuestionSources): Question {
  const written = objectOf(value)
  const authority = (member: keyof Written) => {
    const text = own(written, member)
    return text === null ? undefined : decodeFromParts(text, sources)
  }
  const asked = authority('asked')
  if (asked === undefined) throw new Error('stored question is malformed: it asks for nothing')
  const user = own(written, 'user')
  const environment = textOf(own(written, 'environment'))
  return {
    id,
    now: own(written, 'now') as number,
    environment,
    agent: own(written, 'agent') === ANY_AGENT_ID ? anyAgent(environment) : agentOf(own(written, 'agent'), sources),
    chain: listOf(own(written, 'chain')).map((clientId) => agentOf(clientId, sources)),
    services: servicesIn(own(written, 'services'), sources),
    subject: textOf(own(written, 'subject')) as PrincipalId,
    user: user === null ? undefined : sources.user(partOf(user, sources) as User),
    risk: RISK_LEVELS.find((level) => level === own(written, 'risk')),
    asked,
    askedExplicitly: own(written, 'askedExplicitly') === true,
    parent: authority('parent'),
    ceiling: authority('ceiling'),
    target: (own(written, 'target') ?? undefined) as ResourceUrl | undefined,
    container: (own(written, 'container') ?? undefined) as string | undefined,
    external: decodeExternal(partOf(own(written, 'external'), sources)),
    atCall: own(written, 'atCall') === true,
    contracted: own(written, 'contracted') === true,
  } satisfies { readonly [M in keyof Written]: Question[M] } & { readonly id: DecisionId }
}

export function decodeFromParts(value: unknown, sources: Pick<QuestionSources, 'part'>): Authority {
  const written = objectOf(value)
  return decodeAuthority({ ...written, resources: partOf(own(written, 'resources'), sources) })
}

/** Every digest that a stored text names. */
export function partsNamed(question: JsonObject, effective: unknown): readonly string[] {
  const authorities = [own(question, 'asked'), own(question, 'parent'), own(question, 'ceiling'), effective]
  const resources = authorities.map((authority) => (isPlainObject(authority) ? own(authority, 'resources') : undefined))
  return [own(question, 'user'), own(question, 'external'), ...resources].filter((part) => typeof part === 'string')
}

function partOf(value: unknown, { part }: Pick<QuestionSources, 'part'>): unknown {
  if (typeof value !== 'string') return value
  const text = part(value)
  if (text === undefined) throw new QuestionUnreadable('part', 'a part of the question is no longer kept')
  return JSON.parse(text) as unknown
}

function agentOf(name: unknown, { agent }: QuestionSources): Agent {
  const clientId = textOf(name) as ClientId
  const found = agent(clientId)
  if (found === undefined) throw new QuestionUnreadable('agent', `agent ${clientId} is not registered`)
  return found
}

/** What was written before servers could go on has none. */
function servicesIn(names: unknown, { service }: QuestionSources): readonly Service[] {
  return listOf(names ?? []).map((name) => {
    const found = service(textOf(name))
    if (found === undefined) throw new QuestionUnreadable('agent', `service ${textOf(name)} is not registered`)
    return found
  })
}

function objectOf(value: unknown): JsonObject {
  if (!isPlainObject(value)) throw new Error('stored question is malformed: it is no object')
  return value
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new Error('stored question is malformed: a name is no text')
  return value
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('stored question is malformed: a list is none')
  return value as readonly unknown[]
}
