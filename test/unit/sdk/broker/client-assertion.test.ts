import { afterEach, expect, test, vi } from 'vitest'
import { FETCH_TIMEOUT_MS } from '../../../../src/kernel/outbound-limits.ts'
import { clientAssertion } from '../../../../src/sdk/broker/client-assertion.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('whoever waits for a signer that hangs is told so, and not kept', async () => {
  vi.useFakeTimers()
  const hanging = { clientId: 'warehouse-server', sign: () => new Promise<string>(() => undefined) }
  const asked = clientAssertion(hanging, 'https://errand.example', { nowMs: () => 0 })
  const refused = expect(asked).rejects.toThrow('in time')
  await vi.advanceTimersByTimeAsync(FETCH_TIMEOUT_MS)
  await refused
  expect(vi.getTimerCount()).toBe(0)
})
