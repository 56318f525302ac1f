/** A request for a token that its broker has begun to read, and of which the rest is sent when the test says so. */
import { once } from 'node:events'
import { request } from 'node:http'
import type { Params } from './world.ts'

export interface HeldRequest {
  /** The broker has read its head, and waits for its body. */
  readonly begun: Promise<unknown>
  readonly answer: Promise<{ readonly status: number; readonly text: string }>
  finish(): void
}

/** Sent at once. @param url of the broker */
export function holdRequest(url: string, params: Params): HeldRequest {
  const body = new URLSearchParams(params as Record<string, string>).toString()
  const type = 'application/x-www-form-urlencoded'
  const headers = { 'content-type': type, 'content-length': body.length, expect: '100-continue' }
  const sent = request(`${url}/token`, { method: 'POST', headers, agent: false })
  const answer = new Promise<{ status: number; text: string }>((resolve, reject) => {
    sent.once('error', reject)
    sent.once('response', (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
  })
  const begun = once(sent, 'continue')
  sent.write(body.slice(0, 100))
  return { answer, begun, finish: () => void sent.end(body.slice(100)) }
}
