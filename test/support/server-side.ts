/**
 * A server's side of the broker in the process of the tests: the verifier and the broker client of one registered server, speaking to
 * a real broker without sockets. What is asked is counted, and how the broker answers can be disturbed.
 */
import { BrokerRefused, type Fetch, type FormDoor, type JsonDoor } from '../../src/sdk/broker/http.ts'
import {
  type BrokerClient,
  type BrokerClientOptions,
  createBrokerClient,
} from '../../src/sdk/verify/live/broker-client.ts'
import { createVerifier, type Verifier } from '../../src/sdk/verify/verifier.ts'
import { sign, testKey } from './keys.ts'
import { WAREHOUSE, type World } from './world.ts'

export interface ServerSide {
  readonly verifier: Verifier
  readonly broker: BrokerClient
  /** Paths asked for, in order. */
  readonly asked: string[]
  /** Bodies of JSON that were sent, by path. */
  readonly sent: { readonly path: string; readonly json: Readonly<Record<string, unknown>> }[]
  /** Set: what happens in place of asking. */
  disturb: ((path: string) => Promise<Response | undefined>) | undefined
}

export function serverIdentity(client: string) {
  return {
    clientId: client,
    sign: async (claims: Readonly<Record<string, unknown>>) =>
      sign({ key: testKey(`${client}-key`), header: { typ: 'client-authentication+jwt' }, claims }).reveal(),
  }
}

export function serverSide(
  world: World,
  client = 'warehouse-server',
  resource: string = WAREHOUSE,
  options: Partial<BrokerClientOptions> & { readonly fetch?: Fetch } = {},
): ServerSide {
  const reach = async (url: string, init: RequestInit): Promise<Response> => {
    const path = url.replace(world.issuer, '')
    here.asked.push(path)
    return (await here.disturb?.(path)) ?? (await world.broker.app.request(path, init))
  }
  const door: JsonDoor = async ({ url, form, json, bearer, traceparent }) => {
    if (json !== undefined) here.sent.push({ path: url.replace(world.issuer, ''), json })
    const body = json === undefined ? form?.toString() : JSON.stringify(json)
    const type = json === undefined ? 'application/x-www-form-urlencoded' : 'application/json'
    const response = await reach(url, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body }),
      headers: {
        ...(body === undefined ? {} : { 'content-type': type }),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer.reveal()}` }),
        ...(traceparent === undefined ? {} : { traceparent }),
      },
    })
    if (response.status !== 200) throw new BrokerRefused(response.status)
    return response.text()
  }
  const forms: FormDoor = async ({ url, form, headers }) => {
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    const response = await reach(url, { method: 'POST', body: form.toString(), headers: { ...type, ...headers } })
    const text = await response.text()
    return { status: response.status, text, header: (name) => response.headers.get(name) ?? undefined }
  }
  const { clock } = world
  const at = { door, clock, ticks: { ticksMs: () => clock.nowMs() } }
  const here: ServerSide = {
    verifier: createVerifier({ issuer: world.issuer, resource, ...at }),
    broker: createBrokerClient({ issuer: world.issuer, client: serverIdentity(client), ...at, forms, ...options }),
    asked: [],
    sent: [],
    disturb: undefined,
  }
  return here
}
