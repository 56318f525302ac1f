/**
 * AuthZEN Authorization API 1.0 requests, read (§5 Information Model, §6 Evaluation, §7 Evaluations, §8 Search).
 *
 * Here the specification's rule wins over ours: members nobody knows are ignored. Those that are known must have their type,
 * those that are required must be there, and a token is a secret from the moment it is read.
 */
import { isJsonObject } from '../jose/strict-json.ts'
import { EVALUATIONS_MAX, NAME_CHARS_MAX, SEARCH_PAGE_DEFAULT, SEARCH_PAGE_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { Secret } from '../kernel/secret.ts'

type Json = Readonly<Record<string, unknown>>

export interface Entity {
  readonly type: string
  /** `undefined` only of the entity that is searched for. */
  readonly id: string | undefined
  readonly properties: Json
}

export interface AskedSubject {
  readonly type: string
  readonly id: string | undefined
  /** Of type `access_token`: its id is the token itself. */
  readonly token: Secret | undefined
}

export interface AskedAction {
  readonly name: string
  readonly properties: Json
}

export interface Evaluation {
  readonly subject: AskedSubject
  readonly action: AskedAction
  readonly resource: Entity
  readonly context: Json
  /** Id of the call that is about to be made; absent: it is only a question. */
  readonly attempt?: string
}

export const ACCESS_TOKEN_SUBJECT = 'access_token'

export const SEMANTICS = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'] as const
export type Semantic = (typeof SEMANTICS)[number]

/** One that is malformed is its own refusal: its neighbours are answered (§7.2.1). */
export interface Batch {
  readonly semantic: Semantic
  readonly evaluations: readonly (Evaluation | Rejection)[]
}

/** `undefined`: the body is one single evaluation (§7.1: no `evaluations`, or an empty array). @throws Rejection `parameter_*` */
export function readBatch(body: Json): Batch | undefined {
  const { evaluations, options } = body
  if (evaluations === undefined || (Array.isArray(evaluations) && evaluations.length === 0)) return undefined
  if (!Array.isArray(evaluations)) throw malformed('evaluations', 'an array')
  if (evaluations.length > EVALUATIONS_MAX) throw malformed('evaluations', `at most ${EVALUATIONS_MAX} evaluations`)
  const semantic = semanticOf(options)
  return { semantic, evaluations: evaluations.map((one) => evaluationOr(one, body)).map(alone) }
}

/** A call is made by itself: of several, some may be answered and never made. */
function alone(one: Evaluation | Rejection, _index: number, { length }: readonly unknown[]): Evaluation | Rejection {
  if (one instanceof Rejection || one.attempt === undefined || length === 1) return one
  return malformed('context.attempt', 'of an evaluation that is asked by itself')
}

function semanticOf(options: unknown): Semantic {
  if (options === undefined) return 'execute_all'
  const { evaluations_semantic: named = 'execute_all' } = object(options, 'options')
  const semantic = SEMANTICS.find((known) => known === named)
  if (semantic === undefined) throw malformed('options.evaluations_semantic', `one of ${SEMANTICS.join(', ')}`)
  return semantic
}

function evaluationOr(one: unknown, defaults: Json): Evaluation | Rejection {
  try {
    return readEvaluation(withDefaults(object(one, 'the evaluation'), defaults))
  } catch (error) {
    if (error instanceof Rejection) return error
    throw error
  }
}

/** §7.1.1: a member of the evaluation replaces the default as a whole; what it must have and lacks is the default's. */
function withDefaults(one: Json, defaults: Json): Json {
  return {
    subject: merged(one['subject'], defaults['subject'], ['type', 'id']),
    action: merged(one['action'], defaults['action'], ['name']),
    resource: merged(one['resource'], defaults['resource'], ['type', 'id']),
    context: one['context'] ?? defaults['context'],
  }
}

function merged(own: unknown, standard: unknown, required: readonly string[]): unknown {
  if (own === undefined) return standard
  if (!isJsonObject(own) || !isJsonObject(standard)) return own
  return { ...Object.fromEntries(required.map((name) => [name, standard[name]])), ...own }
}

/** @throws Rejection `parameter_missing`, `parameter_malformed` */
export function readEvaluation(body: Json): Evaluation {
  const subject = readSubject(body['subject'], 'subject', true)
  const context = optional(body['context'], 'context')
  const attempt = readAttempt(context['attempt'], subject)
  return {
    subject,
    action: readAction(body['action']),
    resource: readEntity(body['resource'], 'resource', true),
    context,
    ...(attempt === undefined ? {} : { attempt }),
  }
}

/** @throws Rejection `parameter_missing`, `parameter_malformed` */
export function readAttemptId(value: unknown, name: string): string {
  if (value === undefined) throw missing(name)
  if (typeof value !== 'string' || !ATTEMPT.test(value)) throw malformed(name, '16 to 64 of A-Z a-z 0-9 . _ ~ -')
  return value
}

/** Chosen by the server, with enough of chance in it that no two calls share one. */
const ATTEMPT = /^[A-Za-z0-9._~-]{16,64}$/

/** Only what a token proves can be counted to somebody. */
function readAttempt(value: unknown, { token }: AskedSubject): string | undefined {
  if (value === undefined) return undefined
  if (token === undefined) throw malformed('context.attempt', `of a subject of type ${ACCESS_TOKEN_SUBJECT}`)
  return readAttemptId(value, 'context.attempt')
}

export type SearchKind = 'subject' | 'resource' | 'action'

export interface Search {
  readonly kind: SearchKind
  /** Its `id` is ignored where it is what is searched for (§8.4, §8.5). */
  readonly subject: AskedSubject
  /** `undefined`: it is what is searched for. */
  readonly action: AskedAction | undefined
  readonly resource: Entity
  readonly context: Json
  readonly limit: number
  /** `undefined`: the first page. */
  readonly token: string | undefined
}

/** @throws Rejection `parameter_missing`, `parameter_malformed` */
export function readSearch(kind: SearchKind, body: Json): Search {
  const page = optional(body['page'], 'page')
  const { limit = SEARCH_PAGE_DEFAULT, token } = page
  if (typeof limit !== 'number' || !Number.isSafeInteger(limit) || limit < 0) {
    throw malformed('page.limit', 'a non-negative integer')
  }
  if (token !== undefined && (typeof token !== 'string' || token.length > NAME_CHARS_MAX)) {
    throw malformed('page.token', 'the next_token of the page before')
  }
  return {
    kind,
    subject: readSubject(body['subject'], 'subject', kind !== 'subject'),
    action: kind === 'action' ? undefined : readAction(body['action']),
    resource: readEntity(body['resource'], 'resource', kind !== 'resource'),
    context: optional(body['context'], 'context'),
    limit: Math.min(Math.max(limit, 1), SEARCH_PAGE_MAX),
    token: token === '' ? undefined : token,
  }
}

function readSubject(value: unknown, name: string, isNamed: boolean): AskedSubject {
  const given = object(value, name)
  const type = text(given['type'], `${name}.type`)
  if (!isNamed) return { type, id: undefined, token: undefined }
  if (type !== ACCESS_TOKEN_SUBJECT) {
    const { id } = readEntity(value, name, true)
    return { type, id, token: undefined }
  }
  const { id } = given
  if (id === undefined) throw missing(`${name}.id`)
  if (typeof id !== 'string') throw malformed(`${name}.id`, 'a string')
  return { type, id: undefined, token: new Secret(id) }
}

function readEntity(value: unknown, name: string, isNamed: boolean): Entity {
  const { type, id, properties } = object(value, name)
  return {
    type: text(type, `${name}.type`),
    id: isNamed ? text(id, `${name}.id`) : undefined,
    properties: optional(properties, `${name}.properties`),
  }
}

function readAction(value: unknown): AskedAction {
  const { name, properties } = object(value, 'action')
  return { name: text(name, 'action.name'), properties: optional(properties, 'action.properties') }
}

function object(value: unknown, name: string): Json {
  if (value === undefined) throw missing(name)
  if (!isJsonObject(value)) throw malformed(name, 'an object')
  return value
}

function optional(value: unknown, name: string): Json {
  return value === undefined ? {} : object(value, name)
}

/** Long ids are of nothing that is registered: they are not looked for. */
function text(value: unknown, name: string): string {
  if (value === undefined) throw missing(name)
  if (typeof value !== 'string' || value === '' || value.length > 4 * NAME_CHARS_MAX) {
    throw malformed(name, `a string of 1 to ${4 * NAME_CHARS_MAX} characters`)
  }
  return value
}

function missing(name: string): Rejection {
  return new Rejection('parameter_missing', `${name} is required`)
}

function malformed(name: string, wanted: string): Rejection {
  return new Rejection('parameter_malformed', `${name} must be ${wanted}`)
}
