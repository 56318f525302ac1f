/**
 * `errand drill revoke`: whether access really ends everywhere, and how fast. A token of the drill's own, got by an agent for
 * itself, is revoked by that agent, and each broker is asked until it calls it dead. Nothing of anybody else is touched.
 */

import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { configPath } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { CLIENT_ASSERTION_TYPE_JWT, ENDPOINT, GRANT_TYPE } from '../../protocol/oauth.ts'
import { CLIENT_OPTIONS, type ClientIdentity, identify } from '../agent/client-identity.ts'
import { clientKeyPath, mintAssertion, readClientKey } from '../agent/client-key.ts'
import type { Args } from '../args.ts'
import { BrokerClient } from '../broker-client.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure } from '../failures.ts'
import type { JsonObject } from '../json-fields.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import type { Styles } from '../terminal.ts'

const SECONDS_DEFAULT = 300
const ASK_AGAIN_MS = 10

/** What one broker did. `undefined`: it had not called the token dead when time was up. */
interface Measured {
  readonly broker: string
  readonly ms: number | undefined
}

export const drillRevokeCommand: CommandBody = {
  arguments: [],
  options: {
    ...CLIENT_OPTIONS,
    resource: { value: 'URL', help: 'the MCP server that the drill’s token is for' },
    server: { value: 'ID', help: 'that server’s own client, which asks whether the token lives' },
    'server-key': { value: 'FILE', help: 'its private key (default: agents/<id>.jwk.json beside the configuration)' },
    broker: {
      value: 'URL',
      help: 'a broker to ask, may be repeated (default: the one the configuration says)',
      repeats: true,
    },
    'max-seconds': { value: 'N', help: `fail where a broker takes longer (default ${SECONDS_DEFAULT})` },
    ...JSON_OPTION,
  },
  examples: [
    'errand drill revoke --client drill-agent --resource https://mcp.example/mcp --server mcp-server',
    'errand drill revoke --client drill-agent --resource https://mcp.example/mcp --server mcp-server --broker https://a.example --broker https://b.example --max-seconds 2',
  ],
  notes: [
    'Exit code 1: a broker still called the token alive after that time, or did not know it before.',
    'The agent needs client_credentials and a standing intent at that server; make one for drills.',
  ],
  run: async (args, io) => {
    const measured = await drill(args)
    const ok = measured.every(({ ms }) => ms !== undefined)
    if (args.flag('json')) writeJson({ ok, brokers: measured }, io)
    else io.out(draw(measured, ok, io.styles))
    return ok ? 0 : 1
  },
}

async function drill(args: Args): Promise<readonly Measured[]> {
  const maxMs = 1000 * (args.whole('max-seconds', 1, 3600) ?? SECONDS_DEFAULT)
  const agent = await identify(args)
  const server = await serverOf(args, agent)
  const form = { grant_type: GRANT_TYPE.clientCredentials, resource: args.require('resource') }
  const token = (await ask(agent, agent.broker, ENDPOINT.token, form))['access_token']
  if (typeof token !== 'string') throw new CommandFailure('the answer has no token in it')
  const given = args.all('broker')
  const brokers = given.map((base) => ({ name: base, client: new BrokerClient(base) }))
  const asked = brokers.length > 0 ? brokers : [{ name: agent.issuer, client: agent.broker }]
  const isActive = async (client: BrokerClient) =>
    (await ask(server, client, ENDPOINT.introspection, { token }))['active'] === true
  for (const { name, client } of asked) {
    if (!(await isActive(client)))
      throw new CommandFailure(`${name} does not call the drill’s token alive: nothing to measure`)
  }
  const begun = performance.now()
  await ask(agent, agent.broker, ENDPOINT.revocation, { token })
  return Promise.all(
    asked.map(async ({ name, client }): Promise<Measured> => {
      for (;;) {
        const isDead = !(await isActive(client))
        const ms = Math.round(performance.now() - begun)
        if (isDead && ms <= maxMs) return { broker: name, ms }
        if (ms > maxMs) return { broker: name, ms: undefined }
        await sleep(ASK_AGAIN_MS)
      }
    }),
  )
}

type Speaker = Pick<ClientIdentity, 'assertion'>

async function serverOf(args: Args, { issuer }: ClientIdentity): Promise<Speaker> {
  const id = args.require('server')
  const directory = dirname(resolve(configPath(args.text('config'))))
  const key = await readClientKey(args.text('server-key') ?? clientKeyPath(directory, id))
  return { assertion: () => mintAssertion(key, id, issuer, epochSeconds(systemClock)) }
}

async function ask(
  { assertion }: Speaker,
  broker: BrokerClient,
  path: string,
  members: Readonly<Record<string, string>>,
): Promise<JsonObject> {
  const form = new URLSearchParams(members)
  form.set('client_assertion_type', CLIENT_ASSERTION_TYPE_JWT)
  form.set('client_assertion', (await assertion()).reveal())
  return broker.postForm(path, form)
}

function draw(measured: readonly Measured[], ok: boolean, styles: Styles): string {
  const lines = measured.map(({ broker, ms }) =>
    ms === undefined ? `${styles.bad('still alive')}  ${broker}` : `${styles.good('dead')} after ${ms} ms  ${broker}`,
  )
  const slowest = Math.max(...measured.map(({ ms }) => ms ?? 0))
  const last = ok
    ? styles.good(`revoked everywhere within ${slowest} ms of asking`)
    : styles.bad('not revoked everywhere')
  return `${[...lines, last].join('\n')}\n`
}
