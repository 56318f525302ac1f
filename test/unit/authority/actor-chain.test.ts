import { describe, expect, test } from 'vitest'
import { actors, chainDepth, extendChain, parseActorChain } from '../../../src/authority/actor-chain.ts'
import { ACTOR_DEPTH_MAX } from '../../../src/kernel/limits.ts'
import { refusalOf } from './refusal.ts'

const ISS = 'https://errand.example'
const A = { iss: ISS, sub: 'agent:a', sub_profile: 'ai_agent' }
const B = { iss: ISS, sub: 'agent:b', sub_profile: 'ai_agent' }

function nested(depth: number): Record<string, unknown> {
  let chain: Record<string, unknown> = { iss: ISS, sub: 'agent:0' }
  for (let level = 1; level < depth; level++) chain = { iss: ISS, sub: `agent:${level}`, act: chain }
  return chain
}

describe('extendChain (RFC 8693 §4.1)', () => {
  test('puts the new actor outermost and the chain beneath it, unchanged', () => {
    const first = extendChain(undefined, A, 5)
    expect(first).toEqual(A)
    const second = extendChain(first, B, 5)
    expect(second).toEqual({ ...B, act: A })
    expect(second.act).toBe(first)
    expect(actors(second).map(({ sub }) => sub)).toEqual(['agent:b', 'agent:a'])
    expect(chainDepth(second)).toBe(2)
    expect(chainDepth(undefined)).toBe(0)
  })

  test('takes no act from the new actor: it cannot bring a history of its own', () => {
    const withPast = { ...B, act: { iss: ISS, sub: 'agent:forged' } }
    expect(extendChain(extendChain(undefined, A, 5), withPast, 5)).toEqual({ ...B, act: A })
    expect(extendChain(undefined, withPast, 5)).toEqual(B)
  })

  test('refuses an actor that is in the chain already, at any depth', () => {
    const chain = extendChain(extendChain(undefined, A, 5), B, 5)
    expect(refusalOf(() => extendChain(chain, A, 5)).reason).toBe('actor_chain_cycle')
    expect(refusalOf(() => extendChain(chain, { iss: ISS, sub: 'agent:b' }, 5)).reason).toBe('actor_chain_cycle')
    expect(chainDepth(extendChain(chain, { iss: 'https://other.example', sub: 'agent:a' }, 5))).toBe(3)
  })

  test('refuses one actor more than the bound, and any where the bound is no number', () => {
    const chain = extendChain(undefined, A, 1)
    expect(refusalOf(() => extendChain(chain, B, 1)).reason).toBe('actor_chain_too_deep')
    expect(refusalOf(() => extendChain(undefined, B, 0)).reason).toBe('actor_chain_too_deep')
    expect(refusalOf(() => extendChain(undefined, B, Number.NaN)).reason).toBe('actor_chain_too_deep')
  })
})

describe('parseActorChain', () => {
  test('reads a chain up to the bound and refuses one deeper', () => {
    expect(parseActorChain(nested(ACTOR_DEPTH_MAX))).toEqual(nested(ACTOR_DEPTH_MAX))
    expect(refusalOf(() => parseActorChain(nested(ACTOR_DEPTH_MAX + 1))).reason).toBe('actor_chain_too_deep')
    expect(refusalOf(() => parseActorChain(nested(50_000))).reason).toBe('actor_chain_too_deep')
  })

  const refused: readonly [title: string, value: unknown, place: string][] = [
    ['nothing', undefined, 'act'],
    ['null', null, 'act'],
    ['a string', 'agent:a', 'act'],
    ['an array', [A], 'act'],
    ['no iss', { sub: 'agent:a' }, 'act.iss'],
    ['an empty sub', { iss: ISS, sub: '' }, 'act.sub'],
    ['a sub that is no string', { iss: ISS, sub: 1 }, 'act.sub'],
    ['inherited names', Object.create(A), 'act'],
    ['an empty profile', { ...A, sub_profile: '' }, 'act.sub_profile'],
    ['claims that do not identify (RFC 8693 §4.1)', { ...A, exp: 1 }, 'act'],
    ['scope on an actor', { ...A, act: { ...B, scope: 'admin' } }, 'act.act'],
    ['a null inner actor', { ...A, act: null }, 'act.act'],
    ['an inner actor without sub', { ...A, act: { iss: ISS } }, 'act.act.sub'],
    ['a member called __proto__', JSON.parse(`{"iss":"i","sub":"s","__proto__":{"act":{}}}`), 'act'],
  ]
  test.each(refused)('refuses %s', (_title, value, place) => {
    const refusal = refusalOf(() => parseActorChain(value))
    expect(refusal.reason).toBe('actor_chain_malformed')
    expect(refusal.message.split(' ')[0]).toBe(place)
  })
})
