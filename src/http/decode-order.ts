/** JSON bodies: strict JSON; of the admin API a strict schema, too, and an error that names the member. */
import { parseStrictJson } from '../jose/strict-json.ts'
import { Rejection } from '../kernel/rejection.ts'
import { type Give, readDocument } from '../registry/reading/reading-thread.ts'
import { ConfigurationError } from '../registry/strict-document.ts'

interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { code?: string; path: readonly PropertyKey[]; message: string }[] } }
}

/** @throws Rejection `body_malformed` */
export function parseBody(text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch {
    throw notJson()
  }
}

const notJson = () => new Rejection('body_malformed', 'the body is not JSON without repeated members')

/** @throws Rejection `body_malformed` naming the member */
export function decodeOrder<T>(schema: Schema<T>, text: string): T {
  return decoded(schema, parseBody(text))
}

/** As `decodeOrder`, of what may be long: a policy. Others are answered meanwhile. @throws Rejection `body_malformed`; what `give` throws */
export async function decodeLongOrder<T>(schema: Schema<T>, give: Give): Promise<T> {
  const document = await readDocument(give, 'json', 'the body').catch((fault: unknown) => {
    throw fault instanceof ConfigurationError ? notJson() : fault
  })
  return decoded(schema, document)
}

function decoded<T>(schema: Schema<T>, document: unknown): T {
  const decoded = schema.safeParse(document)
  if (decoded.success) return decoded.data
  const issue = decoded.error.issues[0]
  // The schema's own message would repeat an unknown member's name, which is the caller's text.
  const what = issue?.code === 'unrecognized_keys' ? 'has a member that is not known here' : issue?.message
  throw new Rejection('body_malformed', `${issue?.path.join('.') || 'the body'}: ${what ?? 'is not understood'}`)
}
