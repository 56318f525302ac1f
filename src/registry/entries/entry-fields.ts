/** The spellings that entries of a policy document share. */

import { z } from 'zod'
import { ALGORITHM_NAMES } from '../../jose/algorithms.ts'
import { isName } from '../../jose/name.ts'
import { NAME_CHARS_MAX } from '../../kernel/limits.ts'
import { parseUserName } from '../../kernel/user-name.ts'
import { LIFECYCLE_STATES } from '../../model/lifecycle.ts'
import { isScopeToken } from '../../protocol/scope.ts'
import { strictObject } from '../strict-document.ts'
import { clientUrlProblem, urlProblem } from '../url-rules.ts'
import { parseClaimPath } from '../workloads/claim-path.ts'

export const text = z
  .string()
  .refine(isName, `must be 1 to ${NAME_CHARS_MAX} characters, none of them a control character`)
export const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'letters, digits, "." "_" "-", at most 64')
/** Becomes the second part of `user:<slug>:<sub>`: without a colon, so that no two issuers' users can coincide. */
export const slug = z.string().regex(/^[a-z0-9-]{1,32}$/, 'lower-case letters, digits and "-", at most 32')
/** What revocations of one version of a client name. */
export const clientVersion = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)
/** Never a URL: a client id that looks like one would be read as a client metadata document's address. */
export const clientId = z.string().regex(/^[A-Za-z0-9._~-]{1,128}$/, 'letters, digits, "." "_" "~" "-", at most 128')
/** The client id of an agent: a plain one, or the URL of its client metadata document. */
export const clientName = z.string().superRefine((value, context) => {
  const plain = value.includes(':') ? undefined : clientId.safeParse(value)
  const problem = plain === undefined ? clientUrlProblem(value) : plain.error?.issues[0]?.message
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})
/** As MCP 2025-11-25 names tools, and as `authorization_details` may spell them. */
export const toolName = z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/, 'letters, digits, "_" "." "-", at most 128')
export const any = z.literal('*')
/** For an operation, not for a system: no token says `crm:*`. */
export const scopeToken = z
  .string()
  .max(128)
  .refine(isScopeToken, 'must be one scope-token (RFC 6749 section 3.3)')
  .refine((scope) => !scope.includes('*'), 'may not hold "*": a scope names what it opens')
export const url = z.string().superRefine((value, context) => {
  const problem = urlProblem(value)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})
/** As `URL.host` spells it, or it would never be found. */
export const host = z
  .string()
  .refine(
    (text) => /^[^*]+$/.test(text) && URL.parse(`https://${text}/`)?.host === text,
    'must be a host in lower case, or host:port where the port is not 443',
  )
/** RFC 3339 with its offset written out: a time without one means something else on every machine. */
export const time = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2026-01-31T09:00:00Z' })
  .transform((value) => Math.floor(Date.parse(value) / 1000))
export const claimPath = z
  .string()
  .refine((value) => parseClaimPath(value) !== undefined, 'a claim, or a JSON Pointer such as /kubernetes.io/namespace')
/** SHA-256 in base64url, as `errand tools pin` writes it. */
export const digest = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, 'must be a SHA-256 in base64url, as errand tools pin writes it')
/** Read by `constraints.ts` of `authority/`, which knows the vocabulary. */
export const constraints = z.unknown()
export const state = z.enum(LIFECYCLE_STATES).default('active')
/** `<issuer slug>:<sub>` */
export const userName = z.string().refine((value) => parseUserName(value) !== undefined, 'must be <issuer slug>:<sub>')
export const environmentName = z.string().regex(/^[a-z0-9-]{1,32}$/, 'lower-case letters, digits and "-", at most 32')

/** Asymmetric only: with an HMAC algorithm allowed, the issuer's public key would be a signing secret (RFC 8725 §2.1). */
export const algorithm = z
  .string()
  .refine((name) => ALGORITHM_NAMES.includes(name), `must be one of ${ALGORITHM_NAMES.join(', ')}`)

export const selectorShape = {
  project: z.union([any, id]).optional(),
  server: z.union([any, id]).optional(),
  tool: z.union([any, toolName]).optional(),
  category: z.enum(['read', 'write', 'destructive', 'admin']).optional(),
  container: id.optional(),
}
const SELECTS_NOTHING = 'must name a project, server, tool or category ("*" for all)'
const CONTAINER_OF_NOTHING = 'a container is named together with its server, which cannot be "*"'
export const selector = strictObject(selectorShape)
  .refine(selectsSomething, SELECTS_NOTHING)
  .refine(namesItsServer, CONTAINER_OF_NOTHING)
export const manifestEntry = strictObject({ ...selectorShape, constraints: constraints.optional() })
  .refine(selectsSomething, SELECTS_NOTHING)
  .refine(namesItsServer, CONTAINER_OF_NOTHING)

export type SelectorEntry = z.output<typeof selector>

/** A selector without any member would match every tool: silence must not grant. */
function selectsSomething(value: Readonly<Partial<Record<keyof typeof selectorShape, unknown>>>): boolean {
  return [value.project, value.server, value.tool, value.category, value.container].some(
    (member) => member !== undefined,
  )
}

/** A container's id means something at one server only. */
function namesItsServer({ container, server }: { container?: unknown; server?: unknown }): boolean {
  return container === undefined || (server !== undefined && server !== '*')
}

export function notEmpty(record: object): boolean {
  return Object.keys(record).length > 0
}
