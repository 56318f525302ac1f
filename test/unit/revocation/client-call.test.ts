import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Form } from '../../../src/protocol/form.ts'
import { ENDPOINT } from '../../../src/protocol/oauth.ts'
import { type ClientCall, callAsClient } from '../../../src/revocation/client-call.ts'
import { type Raw, registryWith } from '../flows/fixtures.ts'
import { failing } from '../sessions/faults.ts'
import { NOW } from '../sessions/fixtures.ts'
import { type Bench, FACTS, formAs, refusalOf, startBench } from './fixtures.ts'

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
})
afterEach(() => bench.close())

const seen: ClientCall[] = []
function call(form: () => Form, over: { mayRepeat?: boolean; correlation?: string } = {}, parts = bench.parts) {
  const { correlation, ...rest } = over
  const request = { form, facts: { ...FACTS, correlation }, endpoint: ENDPOINT.introspection, ...rest }
  return callAsClient(request, parts, async (given) => {
    seen.push(given)
    await parts.auditor.log.append(given.draft.id, given.draft.granted('revocations.follow'))
    return given.client.clientId
  })
}

describe('a client at a form endpoint', () => {
  test('is authenticated, and its work done in its name at one time', async () => {
    expect(await call(formAs('warehouse-server', { token: 'x' }), { correlation: 'trace-1' })).toBe('warehouse-server')
    expect(seen.at(-1)).toMatchObject({ now: NOW, nowMs: NOW * 1000 })
    expect(seen.at(-1)?.form.require('token')).toBe('x')
    expect(await bench.records()).toMatchObject([{ by: 'service:warehouse-server', correlation: 'trace-1' }])
  })

  test('an agent is named as one', async () => {
    await call(formAs('orchestrator', {}))
    expect(await bench.records()).toMatchObject([{ by: 'agent:orchestrator' }])
  })

  test('whose form is malformed is a stranger: nobody was authenticated yet', async () => {
    const refused = await refusalOf(call(() => Form.parse('a=1&a=2')))
    expect(refused).toMatchObject({ reason: 'parameter_duplicated', authenticated: false })
  })

  test('whose assertion does not verify is a stranger', async () => {
    const refused = await refusalOf(call(formAs('warehouse-server', {}, { aud: 'https://other.example' })))
    expect(refused).toMatchObject({ reason: 'client_assertion_audience', authenticated: false })
    expect(await bench.records()).toEqual([])
  })

  test('who replays an assertion is a stranger, and nothing is done for it', async () => {
    const form = formAs('warehouse-server', {})
    await call(form)
    const count = seen.length
    const refused = await refusalOf(call(form))
    expect(refused).toMatchObject({ reason: 'client_assertion_replayed', authenticated: false })
    expect(seen).toHaveLength(count)
    expect(await refusalOf(call(form, { mayRepeat: true }))).toMatchObject({ reason: 'client_assertion_replayed' })
  })

  test.each(['suspended', 'retired'])('that is %s is refused in its own name', async (state) => {
    const changed = registryWith((document: Raw) => {
      document.services[0].state = state
    })
    const refused = await refusalOf(call(formAs('warehouse-server', {}), {}, bench.withRegistry(changed)))
    expect(refused).toMatchObject({ reason: 'service_inactive', authenticated: true })
    expect(await bench.records()).toMatchObject([{ by: 'service:warehouse-server', reason: 'service_inactive' }])
  })
})

describe('where an assertion cannot be claimed', () => {
  test('nothing is done that must happen once', async () => {
    failing(bench.parts.store.claims, 'claim')
    const count = seen.length
    expect((await refusalOf(call(formAs('warehouse-server', {})))).reason).toBe('store_unavailable')
    expect(seen).toHaveLength(count)
  })

  test('what does no harm twice goes ahead: a full store must not stop a revoke', async () => {
    failing(bench.parts.store.claims, 'claim')
    expect(await call(formAs('orchestrator', {}), { mayRepeat: true })).toBe('orchestrator')
  })
})
