import { beforeEach, describe, expect, test } from 'vitest'
import { BrokerRefused, type JsonRequest } from '../../../../../src/sdk/broker/http.ts'
import { BrokerApi } from '../../../../../src/sdk/verify/live/broker-api.ts'

const PATH = '/access/v1/evaluation'
const ISSUER = 'https://errand.example'

let nowMs: number
let asked: JsonRequest[]
/** What the token endpoint, and the API, answer next. */
let token: () => Promise<string>
let answer: (bearer: string) => Promise<string>
let made: number

beforeEach(() => {
  nowMs = 1_000_000
  asked = []
  made = 0
  token = async () => {
    made += 1
    return JSON.stringify({ access_token: `t${made}`, token_type: 'Bearer', expires_in: 300 })
  }
  answer = async () => '{"decision":true}'
})

function api(sign: () => Promise<string> = async () => 'assertion', timeoutMs = 1_000): BrokerApi {
  return new BrokerApi({
    issuer: ISSUER,
    client: { clientId: 'warehouse-server', sign },
    timeoutMs,
    door: (request) => {
      asked.push(request)
      return request.url.endsWith('/token') ? token() : answer(request.bearer?.reveal() ?? '')
    },
    clock: { nowMs: () => nowMs },
    ticks: { ticksMs: () => nowMs },
  })
}

const questions = () => asked.filter(({ url }) => !url.endsWith('/token'))
const tokens = () => asked.filter(({ url }) => url.endsWith('/token'))

describe('a question', () => {
  test('is asked with a token of the scope for it, below the issuer, as JSON and in what is left of its time', async () => {
    const broker = api()
    expect(await broker.post(PATH, { a: 1 })).toEqual({ decision: true })
    expect(String(tokens()[0]?.form)).toMatch(/resource=https%3A%2F%2Ferrand\.example%2Fapi&scope=evaluate&/)
    const [, question] = asked
    expect(question).toMatchObject({ url: `${ISSUER}${PATH}`, json: { a: 1 }, timeoutMs: 1_000 })
    expect(question?.bearer?.reveal()).toBe('t1')
  })

  test.each([
    '[]',
    'null',
    '"yes"',
    '',
    '{"decision":true,"decision":false}',
  ])('takes no %s for an answer', async (text) => {
    answer = async () => text
    await expect(api().post(PATH, {})).rejects.toThrow()
  })

  test('is not asked where the token took all its time', async () => {
    const broker = api()
    token = async () => {
      nowMs += 1_500
      return JSON.stringify({ access_token: 't', token_type: 'Bearer', expires_in: 300 })
    }
    await expect(broker.post(PATH, {})).rejects.toThrow('no time left')
    expect(asked).toHaveLength(1)
  })

  test('does not wait for ever for whoever signs', async () => {
    await expect(api(() => new Promise(() => undefined), 30).post(PATH, {})).rejects.toThrow('not asked in time')
  })
})

describe('the token', () => {
  test('is asked for anew where whoever signs has hung once', async () => {
    let signed = 0
    const hangs = new Promise<string>(() => {})
    const broker = api(() => (signed++ === 0 ? hangs : Promise.resolve('assertion')), 20)
    await expect(broker.post(PATH, {})).rejects.toThrow('in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await broker.post(PATH, {})).toEqual({ decision: true })
  })

  test('is asked for once for all that wait', async () => {
    const broker = api()
    await Promise.all(Array.from({ length: 20 }, () => broker.post(PATH, {})))
    expect(tokens()).toHaveLength(1)
  })

  test('is renewed ahead of its end, and nobody waits for that', async () => {
    const broker = api()
    await broker.post(PATH, {})
    nowMs += 290_000
    let release: (text: string) => void = () => undefined
    token = () => new Promise((resolve) => (release = resolve))
    expect(await broker.post(PATH, {})).toEqual({ decision: true })
    expect(questions().at(-1)?.bearer?.reveal()).toBe('t1')
    await new Promise((resolve) => setImmediate(resolve))
    expect(tokens()).toHaveLength(2)
    release(JSON.stringify({ access_token: 'new', token_type: 'Bearer', expires_in: 300 }))
    await new Promise((resolve) => setImmediate(resolve))
    await broker.post(PATH, {})
    expect(questions().at(-1)?.bearer?.reveal()).toBe('new')
  })

  test('is used to its end where no other is given, and not beyond', async () => {
    const broker = api()
    await broker.post(PATH, {})
    token = () => Promise.reject(new BrokerRefused(503))
    nowMs += 299_000
    expect(await broker.post(PATH, {})).toEqual({ decision: true })
    nowMs += 2_000
    await expect(broker.post(PATH, {})).rejects.toBeInstanceOf(BrokerRefused)
  })

  test('that is not taken is replaced once', async () => {
    answer = (bearer) => (bearer === 't1' ? Promise.reject(new BrokerRefused(401)) : Promise.resolve('{"ok":1}'))
    expect(await api().post(PATH, {})).toEqual({ ok: 1 })
    answer = () => Promise.reject(new BrokerRefused(401))
    asked = []
    await expect(api().post(PATH, {})).rejects.toMatchObject({ status: 401 })
    expect(tokens()).toHaveLength(2)
  })

  test.each([403, 429, 503])('stays where the broker answers %i', async (status) => {
    answer = () => Promise.reject(new BrokerRefused(status))
    await expect(api().post(PATH, {})).rejects.toMatchObject({ status })
    expect(tokens()).toHaveLength(1)
  })
})
