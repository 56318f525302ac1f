/**
 * Questions to the external PDP (AuthZEN Authorization API 1.0 §7), asked in one batch through the guarded fetch.
 *
 * Guarantees: it can only take away. What is not answered with exactly `"decision": true`, without obligations, in an answer of
 * status 200 that has one decision for each thing asked, is not allowed; one deadline covers the whole; nothing is kept from
 * one request to the next; one that hangs holds so many requests and no more.
 * Does not guarantee: that the answer is right.
 */
import { encodeToolConstraints } from '../authority/constraints.ts'
import { isJsonObject } from '../jose/strict-json.ts'
import { getOrInsertComputed } from '../kernel/maps.ts'
import {
  EXTERNAL_ANSWER_BYTES_MAX,
  EXTERNAL_EVALUATIONS_MAX,
  EXTERNAL_QUESTIONS_WAITING_MAX,
} from '../kernel/outbound-limits.ts'
import { Secret } from '../kernel/secret.ts'
import type { ExternalAnswer, Question } from '../model/decision.ts'
import { inCall } from '../model/trace.ts'
import type { FetchJson } from './guarded-fetch.ts'
import { readBearer, readLocalText } from './local-files.ts'

export interface ExternalPdp {
  /** Its Access Evaluations endpoint. */
  readonly url: string
  readonly timeoutMs: number
  /** Absolute path of a file with a bearer token for it; read anew each time. */
  readonly credentialFile: string | undefined
  /** Absolute path of the authorities (PEM) that its certificate is from; `undefined`: the public ones. */
  readonly caFile: string | undefined
}

export interface ExternalPolicyDependencies {
  readonly fetchJson: FetchJson
  readonly onFailure?: ((url: string, error: unknown) => void) | undefined
}

/** What a question is asked about beside itself: the arguments of the one call, where it is one. */
export interface ExternalQuestion {
  readonly question: Question
  readonly arguments?: Readonly<Record<string, unknown>> | undefined
}

const NONE: ExternalAnswer = { kind: 'none' }
const NOT_ASKED: ExternalAnswer = { kind: 'failed', cause: 'the external policy was not asked' }
const UNAVAILABLE: ExternalAnswer = { kind: 'failed', cause: 'the external policy could not be asked' }
const TOO_MUCH: ExternalAnswer = {
  kind: 'failed',
  cause: `the external policy is asked about at most ${EXTERNAL_EVALUATIONS_MAX} tools at once`,
}

/** Says what was wrong with an answer, and nothing that is in it. */
class MalformedAnswer extends Error {}

export class ExternalPolicy {
  readonly #pdp: ExternalPdp
  readonly #dependencies: ExternalPolicyDependencies
  #waiting = 0

  constructor(pdp: ExternalPdp, dependencies: ExternalPolicyDependencies) {
    this.#pdp = pdp
    this.#dependencies = dependencies
  }

  /** One answer for each question, in their order. Never throws: what goes wrong is an answer that allows nothing. */
  async ask(questions: readonly ExternalQuestion[]): Promise<readonly ExternalAnswer[]> {
    const asked = questions.map(evaluationsOf)
    const count = asked.flat().length
    if (count === 0) return questions.map(() => ({ kind: 'answered', allowed: new Map() }))
    if (count > EXTERNAL_EVALUATIONS_MAX) return questions.map(() => TOO_MUCH)
    if (this.#waiting >= EXTERNAL_QUESTIONS_WAITING_MAX) return questions.map(() => UNAVAILABLE)
    this.#waiting += 1
    try {
      const decisions = decisionsOf(await this.#post(asked.flat().map(({ body }) => body)), count)
      return asked.map((evaluations) => answerOf(evaluations, decisions.splice(0, evaluations.length)))
    } catch (error) {
      this.#dependencies.onFailure?.(this.#pdp.url, error)
      return questions.map(() => UNAVAILABLE)
    } finally {
      this.#waiting -= 1
    }
  }

  async #post(evaluations: readonly object[]): Promise<unknown> {
    const { url, timeoutMs, credentialFile, caFile } = this.#pdp
    const body = { evaluations, options: { evaluations_semantic: 'execute_all' } }
    const asking = async (traceparent?: string) =>
      this.#dependencies.fetchJson(url, {
        traceparent,
        body: { type: 'application/json', text: new Secret(JSON.stringify(body)) },
        ...(credentialFile === undefined ? {} : { authorization: await readBearer(credentialFile) }),
        ...(caFile === undefined ? {} : { ca: await readLocalText(caFile) }),
        accept: ['application/json'],
        bytesMax: EXTERNAL_ANSWER_BYTES_MAX,
        timeoutMs,
      })
    return await inCall('external_pdp', asking)
  }
}

/** What a question says of it until it is asked: where there is one, nothing is allowed so far. */
export function beforeAsking(policy: unknown): ExternalAnswer {
  return policy === undefined ? NONE : NOT_ASKED
}

/** The answer to the one question. */
export async function answerFrom(policy: Pick<ExternalPolicy, 'ask'>, question: Question): Promise<ExternalAnswer> {
  const [answer = UNAVAILABLE] = await policy.ask([{ question }])
  return answer
}

interface Evaluation {
  readonly url: Parameters<Question['asked']['resources']['get']>[0]
  readonly tool: string
  readonly body: object
}

/** As the COAZ binding for MCP maps a call (draft 1, Default Mappings), with what is known beyond it. */
function evaluationsOf({ question, arguments: args }: ExternalQuestion): readonly Evaluation[] {
  const { agent, chain, services, subject, environment, asked, id } = question
  const context = {
    agent: agent.clientId,
    chain: chain.map(({ clientId }) => clientId),
    ...(services.length === 0 ? {} : { services: services.map(({ clientId }) => clientId) }),
    environment,
    decision_id: id,
    ...(args === undefined ? {} : { arguments: args }),
  }
  const found: Evaluation[] = []
  for (const [url, { tools }] of asked.resources) {
    for (const [tool, constraints] of tools) {
      const properties = { server: url, constraints: encodeToolConstraints(constraints) }
      const resource = { type: 'tool', id: tool, properties }
      const action = { name: 'tools/call' }
      found.push({ url, tool, body: { subject: { type: 'identity', id: subject }, action, resource, context } })
    }
  }
  return found
}

/** @throws MalformedAnswer */
function decisionsOf(answer: unknown, count: number): boolean[] {
  if (!isJsonObject(answer)) throw new MalformedAnswer('the external policy did not answer with an object')
  const { evaluations, context } = answer
  if (!Array.isArray(evaluations) || evaluations.length !== count) {
    throw new MalformedAnswer(`the external policy did not answer with ${count} evaluations`)
  }
  const isWhole = !hasObligations(context)
  return evaluations.map((evaluation: unknown) => {
    if (!isJsonObject(evaluation) || typeof evaluation['decision'] !== 'boolean') {
      throw new MalformedAnswer('an evaluation of the external policy has no decision')
    }
    return isWhole && evaluation['decision'] && !hasObligations(evaluation['context'])
  })
}

/** AuthZEN Obligations, Non-Compliance: whoever cannot comply with one must deny; this broker complies with none. */
function hasObligations(context: unknown): boolean {
  if (context === undefined) return false
  if (!isJsonObject(context)) return true
  const obligations = context['obligations']
  return obligations !== undefined && !(Array.isArray(obligations) && obligations.length === 0)
}

function answerOf(evaluations: readonly Evaluation[], decisions: readonly boolean[]): ExternalAnswer {
  const allowed = new Map<Evaluation['url'], Set<string>>()
  evaluations.forEach(({ url, tool }, index) => {
    if (decisions[index] === true) getOrInsertComputed(allowed, url, () => new Set<string>()).add(tool)
  })
  return { kind: 'answered', allowed }
}
