/** A call as a server announces it to the broker before it runs (AuthZEN 1.0 §6, `context.attempt`). */
import { newNonce } from '../../kernel/ids.ts'
import { jsonObject as objectOf } from '../json-fields.ts'
import { ask, jsonObject } from './http.ts'
import { NotAsTold } from './teller.ts'
import type { WorldServer } from './world.ts'

export interface AnnouncedCall {
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
}

export async function announce(
  { own, evaluation }: WorldServer,
  token: string,
  { tool, arguments: given }: AnnouncedCall,
): Promise<{ readonly decision: boolean; readonly context: Readonly<Record<string, unknown>> }> {
  const answer = await ask(evaluation, {
    method: 'POST',
    headers: { authorization: `Bearer ${await own.apiToken('evaluate')}` },
    json: {
      subject: { type: 'access_token', id: token },
      action: { name: 'tools/call' },
      resource: { type: 'tool', id: tool },
      context: { arguments: given, attempt: newNonce() },
    },
  })
  const { decision, context } = jsonObject(answer)
  if (answer.status !== 200 || typeof decision !== 'boolean') {
    throw new NotAsTold(`the broker answered with ${answer.status}: ${answer.text}`)
  }
  return { decision, context: objectOf(context) }
}
