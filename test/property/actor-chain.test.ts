/** The laws of the actor chain: each hop adds one actor on top and changes nothing below; the parser is total. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Actor, actors, chainDepth, extendChain, parseActorChain } from '../../src/authority/actor-chain.ts'
import { ACTOR_DEPTH_MAX } from '../../src/kernel/limits.ts'
import { Rejection } from '../../src/kernel/rejection.ts'

const actor = fc.record(
  {
    iss: fc.constantFrom('https://errand.example', 'https://other.example'),
    sub: fc.constantFrom('agent:a', 'agent:b', 'agent:c', 'service:a', 'agent:d'),
    sub_profile: fc.constantFrom('ai_agent', 'service'),
  },
  { requiredKeys: ['iss', 'sub'] },
)

function reasonOf(attempt: () => unknown): string {
  try {
    attempt()
  } catch (thrown) {
    if (thrown instanceof Rejection) return thrown.reason
    throw thrown
  }
  throw new Error('nothing was refused')
}

describe('extendChain', () => {
  test('adds exactly one actor on top, keeps the chain below unchanged, and refuses depth and cycles', () => {
    const seen = { extended: 0, actor_chain_cycle: 0, actor_chain_too_deep: 0 }
    fc.assert(
      fc.property(
        fc.array(actor, { minLength: 1, maxLength: 8, size: 'max' }),
        fc.integer({ min: 1, max: 6 }),
        (hops, most) => {
          let chain: Actor | undefined
          for (const hop of hops) {
            const below = actors(chain)
            const isKnown = below.some(({ iss, sub }) => iss === hop.iss && sub === hop.sub)
            if (isKnown || below.length >= most) {
              const reason = reasonOf(() => extendChain(chain, hop, most))
              expect(reason).toBe(isKnown ? 'actor_chain_cycle' : 'actor_chain_too_deep')
              seen[reason as keyof typeof seen]++
              return
            }
            const extended: Actor = extendChain(chain, hop, most)
            expect(chainDepth(extended)).toBe(below.length + 1)
            expect({ ...extended, act: undefined }).toEqual({ ...hop, act: undefined })
            expect(extended.act).toBe(chain)
            expect(actors(extended).slice(1)).toEqual(below)
            chain = extended
            seen.extended++
          }
          if (chain !== undefined && chainDepth(chain) <= ACTOR_DEPTH_MAX) {
            expect(parseActorChain(JSON.parse(JSON.stringify(chain)))).toEqual(chain)
          }
        },
      ),
      { numRuns: 1000 },
    )
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(50)
  })
})

describe('parseActorChain', () => {
  test('answers any JSON with a chain that writes back the same, or a Rejection', () => {
    const { nearby } = fc.letrec<{ nearby: unknown }>((tie) => ({
      nearby: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.jsonValue({ maxDepth: 1 }),
        fc.record(
          {
            iss: fc.oneof(
              { weight: 6, arbitrary: fc.constant('i') },
              { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 0 }) },
            ),
            sub: fc.constantFrom('s', 't'),
            sub_profile: fc.constantFrom('ai_agent', 'ai_agent', ''),
            act: tie('nearby'),
            extra: fc.constant(1),
          },
          { requiredKeys: ['iss', 'sub'] },
        ),
      ),
    }))
    const plain = actor.chain((top) => fc.option(actor, { nil: undefined }).map((act) => (act ? { ...top, act } : top)))
    const seen = { chain: 0, actor_chain_malformed: 0 }
    fc.assert(
      fc.property(fc.oneof(nearby, plain, fc.jsonValue()), (value) => {
        try {
          const chain = parseActorChain(value)
          expect(chain).toEqual(value)
          expect(chainDepth(chain)).toBeLessThanOrEqual(ACTOR_DEPTH_MAX)
          seen.chain++
        } catch (thrown) {
          if (!(thrown instanceof Rejection)) throw thrown
          expect(['actor_chain_malformed', 'actor_chain_too_deep']).toContain(thrown.reason)
          if (thrown.reason === 'actor_chain_malformed') seen.actor_chain_malformed++
        }
      }),
      { numRuns: 2000 },
    )
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(200)
  })
})
