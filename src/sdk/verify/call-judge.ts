/**
 * Who says whether a verified token may make a call, and hears how the call ended. A drop-in asks before the tool runs and tells
 * afterwards, whoever judges: by default this process, from the token alone (`tool-call.ts`).
 */
import type { Secret } from '../../kernel/secret.ts'
import { type ToolCall, type ToolCallRefusal, type ToolManifest, toolCallRefusal } from './tool-call.ts'
import type { VerifiedToken } from './verified-token.ts'

export interface AskedCall {
  readonly token: VerifiedToken
  /** The text of the token, for a judge that asks elsewhere. */
  readonly bearer: Secret
  readonly call: ToolCall
  readonly manifest: ToolManifest
  /** W3C Trace Context of the request that the call is in, well-formed. */
  readonly traceparent?: string | undefined
  /** Of this call and no other, chosen by the server: `[A-Za-z0-9._~-]{16,64}`. */
  readonly id: string
}

export interface CallJudge {
  /** Before the tool runs. @throws TokenRefused `unavailable` where nobody can say. */
  begin(asked: AskedCall): Promise<Begun>
  /** Of a call that the drop-in refuses itself, for want of a scope: whether it counts is said elsewhere. Never throws. */
  refused?(asked: AskedCall): Promise<void>
}

export type Begun =
  | {
      readonly allowed: true
      /**
       * After the tool has run; a result with `isError` is a failure. @param detail an error code, never content.
       * @param response the result: for a judge whose operator captures responses, and nobody else
       */
      ended(outcome: CallOutcome, detail?: string, response?: unknown): Promise<void>
    }
  | { readonly allowed: false; readonly refusal: ToolCallRefusal }

export type CallOutcome = 'success' | 'failure'

/** By what the token says: no network, and nobody to tell the outcome. */
export const localJudge: CallJudge = {
  begin: async ({ token, call, manifest }) => {
    const refusal = toolCallRefusal(token, call, manifest)
    return refusal === undefined ? { allowed: true, ended: async () => {} } : { allowed: false, refusal }
  },
}
