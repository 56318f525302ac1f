/** `errand exchange`: one request to the token endpoint, as an agent makes it. Tokens come from files or pipes only. */
import { decodeJwt } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { AUTHORIZATION_DETAILS_CHARS_MAX } from '../../kernel/limits.ts'
import type { RejectionReason } from '../../kernel/rejection.ts'
import { Secret } from '../../kernel/secret.ts'
import { CLIENT_ASSERTION_TYPE_JWT, ENDPOINT, GRANT_TYPE, JWT_TYP, TOKEN_TYPE } from '../../protocol/oauth.ts'
import type { Args } from '../args.ts'
import { BrokerRefusal } from '../broker-client.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { programName, typedPath } from '../invocation.ts'
import type { Io } from '../io.ts'
import { type JsonObject, textOf } from '../json-fields.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson, writeToken } from '../output.ts'
import { PRIVATE, readNamedFile, replaceFile } from '../private-file.ts'
import { readToken } from '../token-input.ts'
import { CLIENT_OPTIONS, type ClientIdentity, identify } from './client-identity.ts'
import { DPOP_KEY_OPTION, type MakeProof, newOrOldKey, withProof } from './dpop-key.ts'
import { drawToken } from './inspect-token.ts'

const SUBJECTS = {
  id: TOKEN_TYPE.idToken,
  access: TOKEN_TYPE.accessToken,
  session: TOKEN_TYPE.session,
  delegation: TOKEN_TYPE.delegation,
  jwt: TOKEN_TYPE.jwt,
} as const
const WANTED = {
  access: TOKEN_TYPE.accessToken,
  session: TOKEN_TYPE.session,
  delegation: TOKEN_TYPE.delegation,
  'id-jag': TOKEN_TYPE.idJag,
} as const
/** What is wrong with the token itself; what was done with it before, or to whom it belongs, only a running broker knows. */
const SEEN_BY_DOCTOR: ReadonlySet<string> = new Set<RejectionReason>([
  'subject_token_audience',
  'subject_token_claims',
  'subject_token_expired',
  'subject_token_not_yet_valid',
  'subject_token_presenter',
  'subject_token_signature',
  'subject_token_wrong_type',
  'subject_issuer_unknown',
])
type Subject = keyof typeof SUBJECTS
type Wanted = keyof typeof WANTED

export const exchangeCommand: CommandBody = {
  arguments: [],
  options: {
    ...CLIENT_OPTIONS,
    ...DPOP_KEY_OPTION,
    'subject-token-file': {
      value: 'FILE',
      help: 'the token to trade in; - reads it from a pipe. Without one the agent works by itself',
    },
    'subject-type': {
      value: 'TYPE',
      help: `what it is: ${Object.keys(SUBJECTS).join(', ')} (default: what it says itself, else id)`,
      oneOf: Object.keys(SUBJECTS),
    },
    want: {
      value: 'TYPE',
      help: `what to get: ${Object.keys(WANTED).join(', ')} (default access)`,
      oneOf: Object.keys(WANTED),
    },
    resource: { value: 'URL', help: 'the MCP server the token is for', repeats: true },
    audience: { value: 'ID', help: 'the sub-agent a delegation, or the server an ID-JAG is for', repeats: true },
    scope: { value: 'SCOPES', help: 'separated by spaces' },
    'details-file': { value: 'FILE', help: 'authorization_details, as JSON: the intent and its tools' },
    out: { value: 'FILE', help: 'write the token to this file (mode 600)' },
    'token-only': { help: 'print just the token, for piping' },
    ...JSON_OPTION,
  },
  examples: [
    'errand exchange --client report-agent --resource https://mcp.example/mcp',
    'errand exchange --client report-agent --subject-token-file id.jwt --want session --details-file intent.json --out session.jwt',
    'errand exchange --client report-agent --subject-token-file session.jwt --resource https://mcp.example/mcp',
  ],
  run: async (args, io) => {
    if (args.flag('token-only') && args.flag('json')) throw new UsageError('--token-only and --json exclude each other')
    const form = await formOf(args, io)
    const identity = await identify(args)
    const path = args.text('dpop-key')
    const make = path === undefined ? undefined : await newOrOldKey(path)
    const answer = await ask(identity, form, make).catch((fault) => Promise.reject(withNextStep(fault, args)))
    await deliver(answer, args, io)
    return 0
  },
}

/** Where the broker's configuration is at hand, so is who can say more of a token that it refuses. */
function withNextStep(fault: unknown, args: Args): unknown {
  const [file, client] = [args.text('subject-token-file'), args.text('client')]
  if (!(fault instanceof BrokerRefusal)) return fault
  const reason = textOf(fault.body['error_reason'])
  if (reason === 'subject_token_unproven' && !args.flag('dpop-key')) {
    return new BrokerRefusal(fault.status, fault.body, 'prove its key: --dpop-key FILE, the file it was bound with')
  }
  const isItsOwnFault = reason !== undefined && SEEN_BY_DOCTOR.has(reason)
  if (!isItsOwnFault || file === undefined || file === '-' || args.text('issuer') !== undefined) return fault
  const config = args.text('config')
  const more = config === undefined ? '' : ` --config ${typedPath(config)}`
  const advice = `which check it fails: ${programName()} doctor ${typedPath(file)} --as ${client}${more}`
  return new BrokerRefusal(fault.status, fault.body, advice)
}

async function ask(
  { issuer, broker, assertion }: ClientIdentity,
  form: URLSearchParams,
  make: MakeProof | undefined,
): Promise<JsonObject> {
  const url = `${issuer}${ENDPOINT.token}`
  return withProof(make, { method: 'POST', url, token: undefined }, async (proof) => {
    form.set('client_assertion_type', CLIENT_ASSERTION_TYPE_JWT)
    form.set('client_assertion', (await assertion()).reveal())
    return broker.postForm(ENDPOINT.token, form, proof)
  })
}

/** @throws UsageError */
async function formOf(args: Args, io: Io): Promise<URLSearchParams> {
  const form = new URLSearchParams()
  const subjectFile = args.text('subject-token-file')
  if (subjectFile === undefined) {
    for (const name of ['subject-type', 'want']) {
      if (args.flag(name)) throw new UsageError(`--${name} goes with --subject-token-file`)
    }
    form.set('grant_type', GRANT_TYPE.clientCredentials)
  } else {
    form.set('grant_type', GRANT_TYPE.tokenExchange)
    const subject = await readToken(subjectFile, io)
    form.set('subject_token', subject.reveal())
    form.set('subject_token_type', SUBJECTS[(args.text('subject-type') ?? kindOf(subject)) as Subject])
    form.set('requested_token_type', WANTED[(args.text('want') ?? 'access') as Wanted])
  }
  for (const resource of args.all('resource')) form.append('resource', resource)
  for (const audience of args.all('audience')) form.append('audience', audience)
  const [scope, details] = [args.text('scope'), args.text('details-file')]
  if (scope !== undefined) form.set('scope', scope)
  if (details !== undefined) form.set('authorization_details', await readDetails(details))
  return form
}

/** The broker's own tokens say what they are in `typ`; a user's may be an ID token or not, and ID tokens are the usual. */
function kindOf(token: Secret): Subject {
  try {
    const { typ } = decodeJwt(token).header
    return typ === JWT_TYP.session ? 'session' : typ === JWT_TYP.delegation ? 'delegation' : 'id'
  } catch (error) {
    // What it is, and whether it is any, the broker says.
    if (error instanceof JwtError) return 'id'
    throw error
  }
}

/** Sent as it is written: the broker judges it, and says what is wrong with it. */
async function readDetails(path: string): Promise<string> {
  const text = await readNamedFile(path)
  if (text.length <= AUTHORIZATION_DETAILS_CHARS_MAX) return text
  throw new UsageError(`${path} has more than ${AUTHORIZATION_DETAILS_CHARS_MAX} characters`)
}

async function deliver(answer: JsonObject, args: Args, io: Io): Promise<void> {
  const text = answer['access_token']
  if (typeof text !== 'string') throw new CommandFailure('the answer has no token in it')
  const token = new Secret(text)
  const out = args.text('out')
  if (out !== undefined) await replaceFile(out, `${text}\n`, PRIVATE)
  if (args.flag('token-only')) writeToken(token, io)
  else if (args.flag('json')) writeJson(answer, io)
  else io.out(draw(token, answer, out, io))
}

function draw(token: Secret, answer: JsonObject, out: string | undefined, io: Io): string {
  const kept = out === undefined ? 'not kept: --out FILE writes it, --token-only prints it' : `written to ${out}`
  const facts = [
    ['decision', textOf(answer['decision_id'])],
    ['the token', kept],
  ]
  return [
    drawToken(token.reveal(), epochSeconds(systemClock), false, io.styles),
    ...facts.flatMap(([name = '', value]) =>
      value === undefined ? [] : [`  ${io.styles.dim(name.padEnd(10))} ${value}`],
    ),
    '',
  ].join('\n')
}
