/**
 * The judge of live mode: the broker says of each call whether it may be made now, by the rights of this moment, budgets and
 * approvals, and has it on record before the tool runs (R063, R158). What the token's scope does not open is refused here whatever
 * the broker says, and told to it: an agent that tries again and again what its session is not for is stopped there.
 *
 * Guarantees: a call passes only on a plain yes about this very attempt; whatever else comes back, or nothing in time, is
 * `unavailable` (503), never a pass. What was proven of a bound token is what the broker names.
 */
import { isJsonObject } from '../../../jose/strict-json.ts'
import { fitting } from '../../broker/fitting.ts'
import type { AskedCall, Begun, CallJudge } from '../call-judge.ts'
import { plainText } from '../challenge.ts'
import { type ToolCallRefusal, toolCallRefusal } from '../tool-call.ts'
import { TokenRefused } from '../verified-token.ts'
import type { BrokerApi } from './broker-api.ts'
import type { Outcomes } from './outcomes.ts'

type Json = Readonly<Record<string, unknown>>

const DESCRIPTION_CHARS_MAX = 300

export function liveJudge(api: Pick<BrokerApi, 'post'>, outcomes: Outcomes, reportResponses = false): CallJudge {
  const ask = ({ bearer, call, id, traceparent }: AskedCall): Promise<Json> => {
    const question = {
      subject: { type: 'access_token', id: bearer.reveal() },
      action: { name: 'tools/call' },
      resource: { type: 'tool', id: call.tool },
      context: { arguments: call.arguments, attempt: id },
    }
    return api.post('/access/v1/evaluation', question, traceparent)
  }
  // It is refused either way: a broker that does not hear of it keeps nobody waiting for another answer.
  const tell = async (asked: AskedCall) => void (await ask(asked).catch(() => undefined))
  return {
    refused: tell,
    begin: async (asked) => {
      const { token, call, manifest } = asked
      // The broker counts the calls: here nothing is said of limits.
      const refusal = toolCallRefusal({ ...token, limits: {} }, call, manifest)
      if (refusal !== undefined && refusal.error === 'insufficient_scope') {
        await tell(asked)
        return { allowed: false, refusal }
      }
      if (!manifest.has(call.tool) && refusal !== undefined) return { allowed: false, refusal }
      const answer = await ask(asked).catch((error: unknown) => {
        throw cannotSay(error)
      })
      const begun = readAnswer(answer, asked, outcomes)
      // What tools answer is content: it goes nowhere unless the server's operator has said so.
      if (reportResponses || !begun.allowed) return begun
      return { ...begun, ended: (outcome, detail) => begun.ended(outcome, detail) }
    },
  }
}

function readAnswer({ decision, context }: Json, asked: AskedCall, outcomes: Outcomes): Begun {
  if (typeof decision !== 'boolean' || !isJsonObject(context)) throw cannotSay()
  if (!decision) return { allowed: false, refusal: refusalIn(context, asked) }
  const { attempt, decision_id: decisionId, cnf } = context
  // An answer about another call, or one that nobody has recorded, permits nothing.
  if (attempt !== asked.id || typeof decisionId !== 'string' || decisionId === '') throw cannotSay()
  if (!isSameKey(cnf, asked.token.claims['cnf'])) {
    throw new TokenRefused('unavailable', 'the token is bound to another key than the one that was proven')
  }
  return {
    allowed: true,
    ended: (outcome, detail, response) => {
      const told = response === undefined ? {} : { response: fitting(textOf(response)) }
      return outcomes.tell(
        { attempt: asked.id, decision_id: decisionId, outcome, ...told },
        { detail, traceparent: asked.traceparent },
      )
    },
  }
}

const textOf = (response: unknown) => (typeof response === 'string' ? response : (JSON.stringify(response) ?? ''))

/** @throws TokenRefused `invalid` where the token is dead: then a new one may help */
function refusalIn(context: Json, { call, manifest }: AskedCall): ToolCallRefusal {
  const { reason, reason_admin: says, narrow_to: narrowTo, declared, access_request: accessRequest } = context
  const told = isJsonObject(says) && typeof says['en'] === 'string' ? says['en'] : 'it is not allowed'
  const description = plainText(`tool ${call.tool}: ${told}`).slice(0, DESCRIPTION_CHARS_MAX)
  const scope = manifest.get(call.tool)
  // A new token is what helps: that is what clients make of it.
  if ((reason === 'subject_token_inactive' || reason === 'subject_token_revoked') && scope !== undefined) {
    return { error: 'insufficient_scope', description, scope }
  }
  return {
    error: 'outside_intent',
    description,
    ...(isJsonObject(declared) ? { declared } : {}),
    ...(isJsonObject(narrowTo) ? { narrowTo } : {}),
    ...(isJsonObject(accessRequest) ? { accessRequest } : {}),
  }
}

/** RFC 7800: a token is bound to one key or to none. */
function isSameKey(said: unknown, proven: unknown): boolean {
  if (said === undefined || proven === undefined) return said === proven
  return JSON.stringify(said) === JSON.stringify(proven)
}

function cannotSay(cause?: unknown): TokenRefused {
  return new TokenRefused('unavailable', 'whether this call is allowed cannot be said at present', cause)
}
