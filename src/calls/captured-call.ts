/**
 * What of a call is captured beside its records: with the attempt what the user said and the arguments, with the outcome what the
 * tool answered. An attempt whose arguments could not be captured, as they have to be, is refused.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import { withoutSecrets } from '../audit/captured/redact.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { CaptureMode } from '../model/captured.ts'
import type { Resource } from '../model/resource.ts'
import { canonicalJson } from '../registry/canonical-json.ts'
import type { Evaluation } from './authzen-request.ts'
import type { Bearer } from './bearer.ts'
import type { Matter } from './matter.ts'
import type { ServiceCall } from './service-call.ts'

interface Capturing {
  readonly matter: Matter
  readonly bearer: Bearer
  readonly tool: string
}

/** @throws Rejection `capture_unavailable`, `parameter_malformed` */
export async function captureAttempt(
  { context }: Pick<Evaluation, 'context'>,
  { matter, bearer, tool }: Capturing,
  draft: AuditDraft,
  { parts }: ServiceCall,
): Promise<void> {
  const session = bearer.facts.id
  const prompt = textIn(context['prompt'], 'context.prompt')
  await parts.capture.onto(draft, { kind: 'prompt', text: prompt, session })
  if (matter.arguments === undefined) return
  const { redact, mode } = argumentsOf(matter.resource, tool)
  if (parts.capture.modeOf('arguments', mode) === 'off') return
  const text = canonicalJson(withoutSecrets(matter.arguments, redact))
  await parts.capture.onto(draft, { kind: 'arguments', text, session, mode })
}

/** How what this tool answers is captured; `undefined`: as the configuration says. */
export function responseMode({ tools }: Resource, tool: string): CaptureMode | undefined {
  return tools.get(tool)?.capture.response
}

/** @throws Rejection `capture_unavailable` */
export async function captureResponse(
  response: unknown,
  { session, mode }: { readonly session: string | undefined; readonly mode: CaptureMode | undefined },
  draft: AuditDraft,
  { parts }: ServiceCall,
): Promise<void> {
  if (response === undefined || parts.capture.modeOf('response', mode) === 'off') return
  const text = typeof response === 'string' ? response : canonicalJson(response)
  await parts.capture.onto(draft, { kind: 'response', text, session, mode })
}

function argumentsOf({ tools }: Resource, tool: string) {
  const known = tools.get(tool)
  return { redact: known?.redact ?? [], mode: known?.capture.arguments }
}

function textIn(value: unknown, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw new Rejection('parameter_malformed', `${name} must be a string`)
}
