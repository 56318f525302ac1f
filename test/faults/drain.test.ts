/** SIGTERM with two hundred requests in flight (H72): each is answered, each answer has its record, within ten seconds. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'
import { startFleet, until } from '../support/broker-process.ts'
import { isRefusedAt } from '../support/errand-command.ts'
import { holdRequest } from '../support/held-request.ts'
import { claimsOf, TYPE, WAREHOUSE } from '../support/world.ts'

const IN_FLIGHT = 200
/** That are ended together: how much a machine does at once is not what this is about. */
const GROUP = 25
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
    const requests = Array.from({ length: IN_FLIGHT }, () =>
      holdRequest(broker.url, {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        ...broker.authentication('orchestrator'),
        subject_token: session,
        subject_token_type: TYPE.session,
        resource: WAREHOUSE,
      }),
    )
    // Every one has begun at the broker before it is told to stop.
    await Promise.all(requests.map(({ begun }) => begun))
    const begun = performance.now()
    const stopped = broker.stop()
    await until(() => isRefusedAt(Number(new URL(broker.url).port)))
    const answers: { readonly status: number; readonly text: string }[] = []
    for (let at = 0; at < IN_FLIGHT; at += GROUP) {
      const group = requests.slice(at, at + GROUP)
      for (const { finish } of group) finish()
      answers.push(...(await Promise.all(group.map(({ answer }) => answer))))
    }
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
