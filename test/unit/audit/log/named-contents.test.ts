import { describe, expect, test } from 'vitest'
import type { Incoming } from '../../../../src/audit/log/log-tail.ts'
import { gatherContents } from '../../../../src/audit/log/named-contents.ts'
import { parsedRecord } from '../../../../src/audit/log/record-time.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import { APPENDED_CONTENT_BYTES_MAX } from '../../../../src/kernel/log-limits.ts'

const at = '2026-11-22T03:00:00.000Z'

function incoming(position: string, members: Record<string, unknown>): Incoming {
  const text = JSON.stringify({ id: `dec_${position}`, at, ...members })
  return { outbox: 's1', position, text, record: parsedRecord(text) }
}

/** An outbox with these texts beside its records, of which this process remembers some by their record's position. */
function sourceOf(texts: readonly string[], remembered: Readonly<Record<string, readonly string[]>> = {}) {
  const kept = new Map(texts.map((text) => [sha256(text), text]))
  const asked: string[] = []
  const contentsIn = async (_outbox: string, digests: readonly string[]) => {
    asked.push(...digests)
    return new Map(digests.flatMap((digest) => (kept.has(digest) ? [[digest, kept.get(digest) ?? '']] : [])))
  }
  const contentsOf = ({ position }: { readonly position: string }, isWanted: (digest: string) => boolean) =>
    remembered[position]?.map((text) => ({ digest: sha256(text), text })).filter(({ digest }) => isWanted(digest))
  const source = { audit: { contentsIn }, acknowledged: { contentsOf }, tail: { has: () => false } }
  return { asked, source }
}

const part = 'the part'
const question = JSON.stringify({ part: sha256(part) })

describe('the texts that records name', () => {
  test('are fetched, and what they name in turn', async () => {
    const { source } = sourceOf([question, part])
    const records = [incoming('1', { question: sha256(question) })]
    const { batch, contents } = await gatherContents(records, source)
    expect(batch).toEqual(records)
    expect([...contents.values()]).toEqual([question, part])
  })

  test('are not fetched where this process has written them; those of others are', async () => {
    const authority = 'what was allowed'
    const { asked, source } = sourceOf([authority], { 1: [question, part] })
    const records = [incoming('1', { question: sha256(question), authority: sha256(authority) })]
    const { contents } = await gatherContents(records, source)
    expect([...contents.values()]).toEqual([question, part, authority])
    expect(asked).toEqual([sha256(authority)])
  })

  test('are looked for, where this process has written the record, in the members that name texts and nowhere else', async () => {
    const [sealed, other] = ['what was sealed before', 'of another member']
    const { asked, source } = sourceOf([sealed, other], { 1: [question, part], 2: [question, part] })
    const members = { question: sha256(question), sealed: sha256(sealed), agent: { jkt: sha256(other) } }
    const records = [incoming('1', members), incoming('2', members), incoming('3', members)]
    const ofOwn = await gatherContents(records.slice(0, 2), source)
    expect([...ofOwn.contents.values()]).toEqual([question, part, sealed])
    expect(asked).toEqual([sha256(sealed)])
    const ofAll = await gatherContents(records, source)
    expect([...ofAll.contents.values()]).toEqual([question, part, sealed, other])
  })

  test('are as many as there is room for, whoever has written them', async () => {
    const texts = Array.from({ length: 24 }, (_, n) => `${n}`.padEnd(APPENDED_CONTENT_BYTES_MAX / 32, 'x'))
    const records = texts.map((text, n) => incoming(`${n}`, { question: sha256(text) }))
    const ofOthers = await gatherContents(records, sourceOf(texts).source)
    const own = Object.fromEntries(texts.map((text, n) => [`${n}`, [text]]))
    const ofOwn = await gatherContents(records, sourceOf(texts, own).source)
    expect([ofOthers, ofOwn].map(({ batch }) => batch.length)).toEqual([24, 24])
  })

  test('bring what they name with the first record of them, also where only a later one was written here', async () => {
    const filling = Array.from({ length: 40 }, (_, n) => `${n}`.padEnd(60_000, 'x'))
    const records = [
      incoming('first', { question: sha256(question) }),
      ...filling.map((text, n) => incoming(`${n}`, { captured: { prompt: sha256(text) } })),
      incoming('own', { question: sha256(question) }),
    ]
    const { source } = sourceOf([question, part, ...filling], { own: [question, part] })
    const { batch, contents } = await gatherContents(records, source)
    expect(batch.length).toBeLessThan(records.length)
    expect([question, part].map((text) => contents.get(sha256(text)))).toEqual([question, part])
  })

  test('are none of those that a digest of a policy, an intent or a token stands for', async () => {
    const { asked, source } = sourceOf(['policy', 'intent', 'token'])
    const named = { policy: sha256('policy'), intent: sha256('intent'), subject_token: sha256('token') }
    const { contents } = await gatherContents([incoming('1', named)], source)
    expect([contents.size, asked]).toEqual([0, []])
  })
})
