/** Requests that come from addresses: in process, as Node's parser would have left them, with the peer of a socket. */
import { Readable } from 'node:stream'
import { type Answer, type Params, TYPE, type World } from './world.ts'

export class HandTicks {
  #ms = 0
  ticksMs(): number {
    return this.#ms
  }
  /** May go back, as no honest source of ticks does. */
  advance(ms: number): void {
    this.#ms += ms
  }
}

export interface From {
  readonly peer: string
  readonly headers?: Readonly<Record<string, string>>
}

export async function postFrom(world: World, from: From, path: string, params: Params): Promise<Answer> {
  const body = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) if (typeof value === 'string') body.append(name, value)
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded', ...from.headers }
  const incoming = Object.assign(Readable.from([Buffer.from(body.toString())]), {
    url: path,
    rawHeaders: Object.entries(headers).flat(),
    socket: { remoteAddress: from.peer },
  })
  const response = await world.broker.app.request(path, { method: 'POST', headers }, { incoming })
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) }
}

/** A bearer-protected request; DELETE and GET have no body. */
export async function bearerFrom(world: World, peer: string, order: { method: string; path: string; token: string }) {
  const headers = { Authorization: `Bearer ${order.token}` }
  const incoming = Object.assign(Readable.from([]), {
    url: order.path,
    rawHeaders: Object.entries(headers).flat(),
    socket: { remoteAddress: peer },
  })
  const response = await world.broker.app.request(order.path, { method: order.method, headers }, { incoming })
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) }
}

/** A client's honest request: for an API token, which needs nothing but the client itself. */
export function honest(world: World, from: From, client = 'orchestrator'): Promise<Answer> {
  const target = { resource: `${world.issuer}/api`, scope: 'sessions' }
  return postFrom(world, from, '/token', {
    grant_type: 'client_credentials',
    ...world.authentication(client),
    ...target,
  })
}

/** The same by somebody who has none of the client's keys; `kid`: who knows even that. */
export function impostor(world: World, from: From, client = 'orchestrator', kid = 'guessed'): Promise<Answer> {
  const [header, claims] = world.assertion(client, {}, { kid }).split('.')
  const forged = `${header}.${claims}.${Buffer.alloc(64, 7).toString('base64url')}`
  return postFrom(world, from, '/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: forged,
    subject_token: world.idToken(),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
  })
}

export async function statuses(count: number, request: (index: number) => Promise<Answer>): Promise<readonly number[]> {
  const seen: number[] = []
  for (let index = 0; index < count; index += 1) seen.push((await request(index)).status)
  return seen
}

export const times = (count: number, status: number): readonly number[] => Array.from({ length: count }, () => status)
