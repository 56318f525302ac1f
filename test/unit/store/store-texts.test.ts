import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CURRENT_POLICY } from '../../../src/authority/policy-entry.ts'
import { configDocument } from '../../../src/config/schema.ts'
import { shardOf } from '../../../src/kernel/shard.ts'
import { checkedExpiry, checkedInteger, checkedOrg, integerIn } from '../../../src/store/bounds.ts'
import { entryText, parseEntry, slotOf } from '../../../src/store/control-text.ts'
import type { ControlWrite } from '../../../src/store/ports.ts'
import { segment } from '../../../src/store/segment.ts'

describe('a key segment', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[#:A-Za-z0-9_-]{0,70}$/))

  it('is plain, short, and another for another text', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(segment(a)).toMatch(/^(#[A-Za-z0-9_-]{43}|[A-Za-z0-9_-]{1,64})$/)
        expect(segment(a) === segment(b)).toBe(a === b)
      }),
    )
  })

  it('of a digest-like text is not the digest of another', () => {
    const odd = 'a:b'
    expect(segment(segment(odd))).not.toBe(segment(odd))
  })
})

describe('a shard', () => {
  it('is one of 64, always the same for a key, and all of them are used', () => {
    const shards = Array.from({ length: 2_000 }, (_, n) => shardOf(`ses_${n}`))
    expect(new Set(shards).size).toBe(64)
    expect(Math.min(...shards)).toBe(0)
    expect(Math.max(...shards)).toBe(63)
    expect(shardOf('ses_7')).toBe(shardOf('ses_7'))
  })
})

describe('bounds', () => {
  it('take an expiry as whole milliseconds that every backend can hold', () => {
    expect(checkedExpiry(12.9)).toBe(12)
    expect(checkedExpiry(-1)).toBe(0)
    expect(checkedExpiry(Number.POSITIVE_INFINITY)).toBe(8_640_000_000_000_000)
    expect(() => checkedExpiry(Number.NaN)).toThrow(TypeError)
    expect(() => checkedInteger(2 ** 53, 'this')).toThrow('this must be a safe integer')
  })

  it('find exactly the safe integers that JavaScript writes', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (number) => {
        expect(integerIn(String(number))).toBe(number)
      }),
    )
    for (const text of ['', '-', '+1', '1.0', '1e3', ' 1', '1\n', '0x1', '9007199254740992', undefined]) {
      expect(integerIn(text)).toBeUndefined()
    }
  })
})

describe('an organisation', () => {
  it('that a configuration may name is one that the stores take: what `check` accepts starts', () => {
    const { org } = configDocument.shape
    const name = fc.string({ unit: fc.constantFrom(...'ab09-_:}A .'), minLength: 0, maxLength: 3 })
    fc.assert(
      fc.property(fc.oneof(name, fc.stringMatching(/^[a-z0-9-]{1,34}$/)), (text) => {
        if (org.safeParse(text).success) expect(checkedOrg(text)).toBe(text)
        if (/[^a-z0-9_-]/.test(text)) expect(() => checkedOrg(text)).toThrow(TypeError)
      }),
    )
  })
})

describe('a control entry', () => {
  const id = fc.string({ unit: 'grapheme' })
  const expiry = fc.integer({ min: 0, max: 2_000_000_000_000 })
  const kind = fc.constantFrom(
    'agent' as const,
    'user' as const,
    'resource' as const,
    'evidence' as const,
    'pair' as const,
  )
  const write: fc.Arbitrary<ControlWrite> = fc.oneof(
    fc.record({
      entry: fc.constant('cutoff' as const),
      dimension: fc.constantFrom('node' as const, 'session_access' as const, 'user_agent' as const),
      id,
      expiresAtMs: expiry,
    }),
    fc.record(
      {
        entry: fc.constant('block' as const),
        kind,
        id,
        expiresAtMs: fc.option(expiry),
        newerThanS: fc.integer({ min: 0, max: 2_000_000_000 }),
      },
      { requiredKeys: ['entry', 'kind', 'id', 'expiresAtMs'] },
    ),
    fc.record({ entry: fc.constant('lift' as const), kind, id }),
    fc.record({
      entry: fc.constant('policy' as const),
      id: fc.constant(CURRENT_POLICY),
      version: fc.stringMatching(/^[\w-]{16,64}$/),
    }),
  )

  it('survives its text', () => {
    fc.assert(
      fc.property(write, expiry, expiry, (entry, seq, atMs) => {
        expect(parseEntry(slotOf(entry), entryText(entry, seq, atMs))).toEqual({ ...entry, seq, atMs })
      }),
    )
  })

  it('shares its slot with nothing but its own kind and id', () => {
    const identity = (entry: ControlWrite): string =>
      JSON.stringify(
        entry.entry === 'policy'
          ? ['policy']
          : entry.entry === 'cutoff'
            ? ['cutoff', entry.dimension, entry.id]
            : ['block', entry.kind, entry.id],
      )
    fc.assert(
      fc.property(write, write, (a, b) => {
        expect(slotOf(a) === slotOf(b)).toBe(identity(a) === identity(b))
      }),
    )
  })

  it('of an unknown sort is a fault, not a grant', () => {
    expect(() => parseEntry('block|pair|x', 'unblock 1 1 - -')).toThrow('unknown control entry')
  })
})
