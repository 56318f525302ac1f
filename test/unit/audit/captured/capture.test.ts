/** What is captured onto a record: as much of it as was decided, bound to where it belongs; a failure is a refusal. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AuditDraft } from '../../../../src/audit/audit-draft.ts'
import { Capture, digestOnly } from '../../../../src/audit/captured/capture.ts'
import { DataKeys } from '../../../../src/audit/captured/data-keys.ts'
import { openContent, readSealed } from '../../../../src/audit/captured/sealed-content.ts'
import { CAPTURED_PROMPT_BYTES_MAX } from '../../../../src/kernel/capture-limits.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import { agentPrincipal, type ClientId } from '../../../../src/kernel/ids.ts'
import { createKeyEncryptionKey, KeyEncryptionKeys } from '../../../../src/keys/key-encryption-keys.ts'
import { CAPTURED_KINDS, type CapturedKind, type CaptureMode } from '../../../../src/model/captured.ts'
import { openStore } from '../../../../src/store/open-store.ts'
import type { Store } from '../../../../src/store/ports.ts'
import { scratchDirectory } from '../../../support/scratch.ts'
import { ManualClock } from '../../../support/world.ts'

let directory: string
let store: Store
let dataKeys: DataKeys
beforeAll(async () => {
  directory = scratchDirectory('errand-capture-')
  const clock = new ManualClock()
  store = await openStore({ kind: 'embedded', directory: join(directory, 'store'), org: 'acme', clock })
  await createKeyEncryptionKey(join(directory, 'keys'), 1)
  dataKeys = new DataKeys(await KeyEncryptionKeys.open(join(directory, 'keys')), store.documents, clock)
})
afterAll(async () => {
  await store.close()
  rmSync(directory, { recursive: true, force: true })
})

const all = (mode: CaptureMode) => ({ prompt: mode, arguments: mode, response: mode, trace: mode })

async function captured(kind: CapturedKind, text: string, mode: CaptureMode = 'sealed') {
  const draft = new AuditDraft(1)
  draft.authenticatedAs(agentPrincipal('orchestrator' as ClientId))
  await new Capture(all(mode), dataKeys).onto(draft, { kind, text, session: 'ses_1' })
  const record = JSON.parse(draft.refused('not_found'))
  return { id: draft.id, name: record.captured?.[kind] as string | undefined, contents: draft.contents }
}

async function reopened(
  { id, contents }: Awaited<ReturnType<typeof captured>>,
  as: { kind: CapturedKind; id?: string },
) {
  const sealed = readSealed(contents[0]?.text ?? '')
  if (sealed === undefined) throw new Error('nothing was sealed')
  const found = await dataKeys.find(sealed)
  if (found.state !== 'found') throw new Error('its key is there')
  return openContent(sealed, { record: as.id ?? id, kind: as.kind }, found.key)
}

describe('sealed', () => {
  test('any text comes back as it was, of the same record and kind alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.constantFrom(...CAPTURED_KINDS),
        async (text, kind) => {
          const one = await captured(kind, text)
          expect(await reopened(one, { kind })).toEqual({ text })
          expect(one.name).toBe(sha256(one.contents[0]?.text ?? ''))
          for (const other of CAPTURED_KINDS) {
            if (other !== kind) expect(await reopened(one, { kind: other })).toBeUndefined()
          }
          expect(await reopened(one, { kind, id: 'dec_other' })).toBeUndefined()
        },
      ),
      { numRuns: 40 },
    )
  })

  test('as of another session, or with another key of the same page, it does not open; nor with any bit of it changed', async () => {
    const [one, other] = [await captured('prompt', 'hello'), await captured('prompt', 'hello')]
    const [sealed, foreign] = [readSealed(one.contents[0]?.text ?? ''), readSealed(other.contents[0]?.text ?? '')]
    if (sealed === undefined || foreign === undefined) throw new Error('both were sealed')
    const found = await dataKeys.find(sealed)
    if (found.state !== 'found') throw new Error('its key is there')
    const belonging = { record: one.id, kind: 'prompt' } as const
    expect(openContent(sealed, belonging, found.key)).toEqual({ text: 'hello' })
    expect(openContent({ ...sealed, session: 'ses_2' }, belonging, found.key)).toBeUndefined()
    expect(openContent({ ...sealed, index: foreign.index }, belonging, found.key)).toBeUndefined()
    expect(openContent({ ...foreign, session: 'ses_1' }, belonging, found.key)).toBeUndefined()
    for (let bit = 0; bit < sealed.bytes.length * 8; bit += 7) {
      const bytes = Buffer.from(sealed.bytes)
      bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      expect(openContent({ ...sealed, bytes }, belonging, found.key)).toBeUndefined()
    }
    expect(openContent({ ...sealed, bytes: Buffer.alloc(3) }, belonging, found.key)).toBeUndefined()
  })

  test('what is not one is not read as one', () => {
    for (const text of [
      '',
      'x',
      '{}',
      '[]',
      '["captured-v1"]',
      '["captured-v2","p",0,"s","AA"]',
      '["captured-v1","p",0.5,"s","AA"]',
    ]) {
      expect(readSealed(text)).toBeUndefined()
    }
  })

  test('a long text is cut at its bound and not within a character; of all of it the digest is kept', async () => {
    const text = `${'a'.repeat(CAPTURED_PROMPT_BYTES_MAX - 1)}é and more`
    const one = await captured('prompt', text)
    expect(await reopened(one, { kind: 'prompt' })).toEqual({
      text: 'a'.repeat(CAPTURED_PROMPT_BYTES_MAX - 1),
      whole: sha256(text),
    })
  })

  test('arguments too long are named by their digest alone: of cut ones nobody knows what was in them', async () => {
    const text = JSON.stringify({ a: 'x'.repeat(40_000) })
    const { id, name, contents } = await captured('arguments', text)
    expect([name, contents]).toEqual([`sha256:${digestOnly(id, 'arguments', text)}`, []])
  })

  test('a credential in it is not', async () => {
    const one = await captured('trace', 'I send Bearer abcdefghijklmnop')
    expect(await reopened(one, { kind: 'trace' })).toEqual({ text: 'I send [redacted: authorization]' })
  })
})

test('a digest proves the text to whoever has it, and is another in another record', async () => {
  const [one, other] = [await captured('prompt', 'yes', 'digest'), await captured('prompt', 'yes', 'digest')]
  expect(one.contents).toEqual([])
  expect(one.name).toBe(`sha256:${sha256(`${one.id}\nprompt\nyes`)}`)
  expect(other.name).not.toBe(one.name)
})

test('off, nothing is captured', async () => {
  expect(await captured('prompt', 'hello', 'off')).toMatchObject({ name: undefined, contents: [] })
})

test('where it cannot be sealed there is a refusal, and no name of it on the record', async () => {
  const none = new DataKeys(await KeyEncryptionKeys.open(join(directory, 'none')), store.documents, new ManualClock())
  const draft = new AuditDraft(1)
  const trying = new Capture(all('sealed'), none).onto(draft, { kind: 'prompt', text: 'x', session: undefined })
  await expect(trying).rejects.toMatchObject({ reason: 'capture_unavailable', retryAfterSeconds: 1 })
  expect(draft.contents).toEqual([])
})
