/** What is written of a session is what is read of it, for any session and any node; and what is damaged is read as nothing. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Actor } from '../../src/authority/actor-chain.ts'
import { type ClientId, type NodeId, type PrincipalId, type SessionId, userPrincipal } from '../../src/kernel/ids.ts'
import { Rejection } from '../../src/kernel/rejection.ts'
import { intentHash } from '../../src/model/intent.ts'
import type { NodeFacts, OpeningEvidence, SessionFacts, Subject } from '../../src/model/session.ts'
import { ownTxn } from '../../src/model/transaction.ts'
import { atLength, shortened } from '../../src/sessions/phrases.ts'
import { decodeNode, decodeOpened, encodeFacts, encodeNode } from '../../src/sessions/record-text.ts'
import { authority } from './authority-arbitraries.ts'

const SESSION = 'ses_one' as SessionId
const ROOT = 'nod_root' as NodeId
const SALT = 'salt'

/** Any text, and often one that looks like what texts are shortened with. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed()),
  fc.constantFrom('"],', '[0,', '\u0001', '\\u0001', '["https://', 'agent:', '', '__proto__', 'user:corp:alice'),
)
const name = fc.constantFrom('orchestrator', 'agent:', 'ä"b', '0')
const seconds = fc.integer({ min: 0, max: 2_000_000_000 })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })

const chain: fc.Arbitrary<Actor> = fc
  .array(
    fc.record(
      {
        iss: fc.constantFrom('https://errand.example', 'https://other.example'),
        sub: name.map((one) => `agent:${one}`),
        sub_profile: fc.constantFrom('ai_agent', 'service'),
      },
      { requiredKeys: ['iss', 'sub'] },
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((levels) =>
    levels.reduceRight<Actor | undefined>((act, level) => ({ ...level, ...(act && { act }) }), undefined),
  )
  .filter((act) => act !== undefined)

const thumbprint = fc.constant('0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
const constraint: fc.Arbitrary<NodeFacts['senderConstraint']> = fc.oneof(
  fc.constant(undefined),
  fc.constant({ kind: 'own_key' as const }),
  fc.record({ kind: fc.constantFrom('jkt' as const, 'x5t#S256' as const), thumbprint }),
)

function nodeOf(id: NodeId, parent: fc.Arbitrary<NodeId | undefined>): fc.Arbitrary<NodeFacts> {
  return fc
    .record({
      parent,
      holder: name.map((one) => one as ClientId),
      agentVersion: text,
      act: maybe(chain),
      authority,
      purpose: text,
      origin: fc.record(
        {
          type: fc.constantFrom(
            'user_request' as const,
            'agent_plan' as const,
            'schedule' as const,
            'upstream_agent' as const,
          ),
          ref: text,
          assertedBy: name.map((one) => `agent:${one}`),
        },
        { requiredKeys: ['type', 'assertedBy'] },
      ),
      intentHash: fc.constant('of another purpose'),
      createdAt: seconds,
      notAfter: seconds,
      senderConstraint: constraint,
    })
    .chain((node) =>
      fc.boolean().map((derived) => ({ ...node, id, ...(derived && { intentHash: intentHash(SALT, node.purpose) }) })),
    )
}

const root = nodeOf(ROOT, fc.constant(undefined))

const subject: fc.Arbitrary<Subject> = fc.oneof(
  fc.tuple(fc.constantFrom('corp', 'a-b'), text).map(([issuerSlug, sub]): Subject => {
    return { principal: userPrincipal(issuerSlug, sub), profile: 'user', user: { issuerSlug, sub } }
  }),
  fc.record({
    principal: text.map((one) => `agent:${one}` as PrincipalId),
    profile: fc.constantFrom('ai_agent' as const, 'service' as const),
    user: fc.constant(undefined),
  }),
)

const evidence: fc.Arbitrary<OpeningEvidence> = fc.record({
  digest: text,
  issuer: text,
  signedInAt: seconds,
  expiresAt: seconds,
  authTime: maybe(seconds),
  acr: maybe(text),
  amr: maybe(fc.array(text, { maxLength: 3 })),
  risk: maybe(fc.constantFrom('low' as const, 'medium' as const, 'high' as const)),
  email: maybe(text),
})

/** Its own, or one that somebody has given it. */
const txn = fc.oneof(fc.constant(ownTxn(SESSION)), fc.stringMatching(/^[A-Za-z0-9._:~-]{1,64}$/))

/** Facts as they are opened, with their first node's authority and agent, and any others. */
const opened: fc.Arbitrary<{ facts: SessionFacts; root: NodeFacts }> = fc
  .tuple(root, subject, maybe(evidence), authority, fc.tuple(text, name, seconds, seconds, txn), fc.boolean())
  .map(([node, about, proof, other, [owner, agent, openedAt, notAfter, work], usual]) => ({
    root: node,
    facts: {
      id: SESSION,
      txn: work,
      rootAgent: usual ? node.holder : (agent as ClientId),
      rootNode: ROOT,
      subject: about,
      accountableOwner: owner,
      intentSalt: SALT,
      ceiling: usual ? node.authority : other,
      evidence: proof,
      openedAt: usual ? node.createdAt : openedAt,
      notAfter,
    },
  }))

const written = ({ facts, root: node }: { facts: SessionFacts; root: NodeFacts }) => ({
  facts: encodeFacts(facts, node),
  root: encodeNode(node, SALT),
})

describe('a stored session', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(opened, (whole) => {
        const again = decodeOpened({ session: SESSION, root: ROOT }, written(whole))
        expect(again).toEqual(whole)
        expect(written(again)).toEqual(written(whole))
      }),
    )
  })

  test('a node below another is read as it was written', () => {
    const child = nodeOf('jti_child' as NodeId, fc.constantFrom(ROOT, 'nod_0' as NodeId))
    fc.assert(
      fc.property(child, (node) => {
        expect(decodeNode(encodeNode(node, SALT), node.id, SALT)).toEqual(node)
      }),
    )
  })

  test('one that was cut short, or had a piece of it lost, is never read as another session', () => {
    fc.assert(
      fc.property(opened, fc.nat(), fc.integer({ min: 1, max: 40 }), (whole, from, length) => {
        const texts = written(whole)
        const at = from % texts.root.length
        const damaged = { ...texts, root: texts.root.slice(0, at) + texts.root.slice(at + length) }
        let read: ReturnType<typeof decodeOpened> | undefined
        try {
          read = decodeOpened({ session: SESSION, root: ROOT }, damaged)
        } catch (fault) {
          expect(fault).not.toBeInstanceOf(Rejection)
        }
        // Prose may get shorter; what is left is a session all the same, and the very one that its text says.
        if (read !== undefined) expect(decodeOpened({ session: SESSION, root: ROOT }, written(read))).toEqual(read)
      }),
    )
  })

  test('a cut-off text is a fault', () => {
    fc.assert(
      fc.property(opened, fc.nat(), (whole, at) => {
        const { facts, root: text } = written(whole)
        const short = (of: string) => of.slice(0, at % of.length)
        const ids = { session: SESSION, root: ROOT }
        expect(() => decodeOpened(ids, { facts: short(facts), root: text })).toThrow()
        expect(() => decodeOpened(ids, { facts, root: short(text) })).toThrow()
      }),
    )
  })
})

test('any JSON is the same at length again, and never longer when shortened', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const json = JSON.stringify(value)
      expect(atLength(shortened(json))).toBe(json)
      expect(shortened(json).length).toBeLessThanOrEqual(json.length)
    }),
  )
})
