/**
 * A broker that logs everything it can, run as a process of its own so that its output can be read like an operator's: the
 * whole story with refusals, faults and a store that goes away. What was sent and answered is written to a file, so that a
 * reader of the output can look for it.
 *
 * Arguments: the file to write to.
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBroker } from '../../src/app.ts'
import { developmentConfig } from '../../src/config/development.ts'
import { StoreUnavailable } from '../../src/store/ports.ts'
import { startIssuer } from '../support/issuer.ts'
import { ManualClock, registryDocument, TYPE, World } from '../support/world.ts'

const [output = ''] = process.argv.slice(2)
const directory = mkdtempSync(join(tmpdir(), 'errand-noisy-'))
const idp = await startIssuer({ slug: 'corp' })
const config = developmentConfig({
  port: 4400,
  store: { kind: 'embedded', directory: join(directory, 'store') },
  keysDirectory: join(directory, 'keys'),
  logLevel: 'debug',
})
const clock = new ManualClock()
const documents = [{ document: registryDocument(idp), sourceName: 'noisy.yaml' }]
const broker = await createBroker(config, { documents, clock })
const world = new World({ clock, idp, config, broker, directory, ownsIdp: true })

/** Every token that went in or came out. */
const tokens = new Set<string>()
const NAMES = ['subject_token', 'actor_token', 'client_assertion', 'token']
const request = world.request
world.request = async (path, init = {}) => {
  const form = new URLSearchParams(typeof init.body === 'string' ? init.body : '')
  for (const name of NAMES) for (const value of form.getAll(name)) tokens.add(value)
  const bearer = new Headers(init.headers).get('authorization')
  if (bearer !== null) tokens.add(bearer.slice(bearer.indexOf(' ') + 1))
  const answer = await request.call(world, path, init)
  if (answer.body?.access_token !== undefined) tokens.add(answer.body.access_token)
  return answer
}

const statuses: number[] = []
async function note(answer: ReturnType<World['open']>): Promise<string> {
  const { status, body } = await answer
  statuses.push(status)
  return body?.access_token ?? ''
}

const session = await note(world.open())
await note(world.open({ actor_token: world.assertion('orchestrator', {}, { typ: 'JWT' }), actor_token_type: TYPE.jwt }))
await note(world.open({ subject_token: world.idpAccessToken(), subject_token_type: TYPE.access }))
const access = await note(world.continue(session))
const delegation = await note(world.delegate(session))
const accepted = await note(world.accept(delegation))
await note(world.continue(accepted, {}, 'researcher'))
await note(world.introspect(access))
const api = await note(world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` }))
await note(world.bearer('/sessions', api))
await note(world.bearer('/sessions', world.userToken()))
// Refusals of every kind: strangers, thieves, widenings, malformed tokens.
await note(world.accept(delegation))
await note(world.continue(session, {}, 'researcher'))
await note(world.continue(session, { scope: 'nothing' }))
await note(world.open({ client_assertion: world.assertion('orchestrator', { aud: 'elsewhere' }) }))
await note(world.open({ subject_token: world.idToken({ aud: 'elsewhere' }) }))
await note(world.open({ subject_token: `${world.idToken()}x` }))
await note(world.bearer('/sessions', session))
await note(world.bearer('/admin/v1/sessions', access))
// Faults: an exception nobody expects, and a store that does not answer.
const { sessions } = broker.store
const { read, commit } = sessions
sessions.read = async () => {
  throw new TypeError('a fault that nobody expected')
}
await note(world.continue(session))
sessions.read = read
sessions.commit = async () => {
  throw new StoreUnavailable('gone', new Error('connection refused'))
}
await note(world.continue(session))
sessions.commit = commit
await note(world.bearer(`/sessions/${JSON.parse(payload(session)).sid}`, world.userToken(), 'DELETE'))
await note(world.open())
await broker.flushAudit()

const audit = (await broker.store.audit.latest(1_000)).map(({ record }) => record)
writeFileSync(output, JSON.stringify({ tokens: [...tokens], audit, statuses }))
await world.close()

function payload(token: string): string {
  return Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
}
