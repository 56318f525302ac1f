/** Fetches each URL of its arguments through the guarded fetch, under whatever environment it was started with. */
import { createGuardedFetch } from '../../../src/net/guarded-fetch.ts'
import { OutboundError } from '../../../src/net/outbound-error.ts'

const fetchJson = createGuardedFetch({ allowLoopback: true })
for (const url of process.argv.slice(2)) {
  const request = { bytesMax: 1024, timeoutMs: 5_000, accept: ['application/json'] }
  const outcome = await fetchJson(url, request).then(
    (answer) => JSON.stringify(answer),
    (error: unknown) => (error instanceof OutboundError ? error.code : 'fault'),
  )
  console.log(outcome)
}
