/** SIGTERM with two hundred requests in flight (H72): each is answered, each answer has its record, within ten seconds. */
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'
import { startFleet, until } from '../support/broker-process.ts'
import { isRefusedAt } from '../support/errand-command.ts'
import { claimsOf, TYPE, WAREHOUSE } from '../support/world.ts'

const IN_FLIGHT = 200
const DRAIN_MS_MAX = 10_000

test('SIGTERM: no request that was accepted is dropped, no record lost', async () => {
  let directory = ''
  const fleet = await startFleet((own) => {
    directory = join(own, 'store')
    return { store: { kind: 'embedded', directory } }
  })
  try {
    const broker = await fleet.start()
    const { session } = await broker.opened()
    const requests = Array.from({ length: IN_FLIGHT }, () => {
      const body = new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        ...(broker.authentication('orchestrator') as Record<string, string>),
        subject_token: session,
        subject_token_type: TYPE.session,
        resource: WAREHOUSE,
      }).toString()
      const type = 'application/x-www-form-urlencoded'
      const headers = { 'content-type': type, 'content-length': body.length, expect: '100-continue' }
      const sent = request(`${broker.url}/token`, { method: 'POST', headers, agent: false })
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
      return { answer, begun, finish: () => sent.end(body.slice(100)) }
    })
    // Every one has begun at the broker before it is told to stop.
    await Promise.all(requests.map(({ begun }) => begun))
    const begun = performance.now()
    const stopped = broker.stop()
    await until(() => isRefusedAt(Number(new URL(broker.url).port)))
    for (const { finish } of requests) finish()
    const answers = await Promise.all(requests.map(({ answer }) => answer))
    expect(await stopped).toBe(0)
    expect(performance.now() - begun).toBeLessThan(DRAIN_MS_MAX)
    for (const { status, text } of answers) expect(status, text).toBe(200)
    const store = await openStore({ kind: 'embedded', directory, org: 'default', clock: systemClock })
    const records = (await store.audit.latest(1_000)).map(({ record }) => JSON.parse(record).jti)
    await store.close()
    for (const { text } of answers) expect(records).toContain(claimsOf(JSON.parse(text).access_token)['jti'])
  } finally {
    await fleet.close()
  }
})
