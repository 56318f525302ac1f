/** Signed notes, checkpoints, cosignatures and receipts against the specifications' own examples (C2SP). */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatCheckpoint, openCheckpoint, parseCheckpoint, parseSize } from '../../../src/tlog/checkpoint.ts'
import { cosign, formatNote, openNote, parseNote, signaturesBy, signNote } from '../../../src/tlog/note.ts'
import { NoteError, noteKey, parseVkey } from '../../../src/tlog/note-keys.ts'
import { saltedEntry } from '../../../src/tlog/salted-entry.ts'
import { formatTlogProof, parseTlogProof } from '../../../src/tlog/tlog-proof.ts'

/** golang.org/x/mod/sumdb/note: the example key of its documentation and what it signed. */
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const PETER_SEED = 'AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'
const PETER_TEXT = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.
`
const PETER_LINE =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM='
/** C2SP signed-note. */
const SPEC_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const SPEC_NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`
/** C2SP tlog-cosignature: the form, its keys are not published. */
const BEHIND_THE_SOFA = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`

const made = () => generateKeyPairSync('ed25519').privateKey
const logPrivate = made()
const log = noteKey('errand.example/audit', 'log', logPrivate)
const witnessPrivate = made()
const witness = noteKey('witness.example/w1', 'witness', witnessPrivate)
const ROOT = Buffer.alloc(32, 7)
const TEXT = formatCheckpoint({ origin: log.name, size: 12, root: ROOT })

function seeded(seed: string): KeyObject {
  const pkcs8 = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(seed, 'base64').subarray(1),
  ])
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
}

test('signed-note: the reference implementation’s key signs its text byte for byte as published', async () => {
  const key = noteKey('PeterNeumann', 'log', seeded(PETER_SEED))
  expect(key.vkey).toBe(PETER)
  expect(await signNote(PETER_TEXT, key, seeded(PETER_SEED))).toBe(PETER_LINE)
  const note = parseNote(`${PETER_TEXT}\n${PETER_LINE}\n`)
  expect(note.text).toBe(PETER_TEXT)
  expect(await openNote(note, [parseVkey(PETER)])).toMatchObject([{ key: { vkey: PETER }, at: undefined }])
})

test('signed-note: the specification’s example opens with its key, and with no other', async () => {
  const note = parseNote(SPEC_NOTE)
  expect(await openNote(note, [parseVkey(SPEC_KEY)])).toHaveLength(1)
  await expect(openNote(note, [parseVkey(PETER)])).rejects.toThrow('no key that is trusted')
  await expect(openNote({ ...note, text: 'This is another message.\n' }, [parseVkey(SPEC_KEY)])).rejects.toThrow(
    'not good',
  )
  expect(formatNote(note)).toBe(SPEC_NOTE)
})

test('tlog-checkpoint and tlog-cosignature: the examples are read, the witness’s line is 76 bytes with its time', () => {
  const note = parseNote(BEHIND_THE_SOFA)
  expect(parseCheckpoint(note.text)).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20_852_163 })
  const bytes = Buffer.from(note.lines[1]?.split(' ')[2] ?? '', 'base64')
  expect([bytes.length, Number(bytes.readBigUInt64BE(4))]).toEqual([76, 1_679_315_147])
  expect(formatNote(note)).toBe(BEHIND_THE_SOFA)
})

test('a vkey has one spelling: every other text is refused', () => {
  for (const vkey of [PETER, SPEC_KEY, log.vkey, witness.vkey]) expect(parseVkey(vkey).vkey).toBe(vkey)
  for (let at = 0; at < PETER.length; at++) {
    const bent = PETER.slice(0, at) + String.fromCharCode(PETER.charCodeAt(at) + 1) + PETER.slice(at + 1)
    expect(() => parseVkey(bent), bent).toThrow(NoteError)
    expect(() => parseVkey(PETER.slice(0, at)), `${at} characters`).toThrow(NoteError)
    expect(() => parseVkey(PETER.slice(at + 1)), `from ${at}`).toThrow(NoteError)
  }
  // A longer key, and an unknown kind, each with the id that fits it.
  expect(() => parseVkey('PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==')).toThrow()
  expect(() => parseVkey('PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW')).toThrow(NoteError)
  for (const name of ['', 'a b', 'a+b', 'a\u2003b', 'a\u0085b', 'a\nb']) {
    expect(() => noteKey(name, 'log', logPrivate), JSON.stringify(name)).toThrow(NoteError)
  }
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  expect(() => noteKey('a', 'log', other)).toThrow('not an Ed25519 key')
})

test('signed-note: what is not the form of a note is refused', () => {
  const wrong = ['', 'text\n', 'text\n\n', '\n\n', `${PETER_TEXT}${PETER_LINE}\n`, SPEC_NOTE.slice(0, -1)]
  wrong.push(SPEC_NOTE.replace('—', '-'), SPEC_NOTE.replace('— ', '—  '), SPEC_NOTE.replace('message', 'mess\tage'))
  wrong.push(SPEC_NOTE.replace('=\n', '\n'), SPEC_NOTE.replace('aQM=', 'aQN='), `${SPEC_NOTE}\n`, `${SPEC_NOTE}x\n`)
  wrong.push(SPEC_NOTE.replace('message', 'mess\ud800age'), SPEC_NOTE.replace('example.com/foo', 'example.com+foo'))
  wrong.push(
    `text\n\n${`${PETER_LINE}\n`.repeat(65)}`,
    `${'x'.repeat(100_001)}\n\n${PETER_LINE}\n`,
    'text\n\n— a AAAAAA==\n',
  )
  for (const text of wrong) expect(() => parseNote(text), JSON.stringify(text.slice(0, 80))).toThrow(NoteError)
})

test('a checkpoint counts only with a good signature by a key of its own log', async () => {
  const line = await signNote(TEXT, log, logPrivate)
  const opened = await openCheckpoint(formatNote({ text: TEXT, lines: [line] }), [log])
  expect(opened.checkpoint).toEqual({ origin: log.name, size: 12, root: ROOT })
  const elsewhere = noteKey('other.example/audit', 'log', logPrivate)
  const signedElsewhere = formatNote({ text: TEXT, lines: [await signNote(TEXT, elsewhere, logPrivate)] })
  await expect(openCheckpoint(signedElsewhere, [elsewhere, log])).rejects.toThrow(NoteError)
  const forger = made()
  // The line claims the log's name and id, as a forger would.
  const forged = (await signNote(TEXT, noteKey(log.name, 'log', forger), forger)).split(' ')
  const bytes = Buffer.concat([Buffer.from(log.id, 'hex'), Buffer.from(forged[2] ?? '', 'base64').subarray(4)])
  const claimed = formatNote({ text: TEXT, lines: [`— ${log.name} ${bytes.toString('base64')}`] })
  await expect(openCheckpoint(claimed, [log])).rejects.toThrow('not good')
  const byWitness = formatNote({ text: TEXT, lines: [await cosign(TEXT, witness, witnessPrivate, 1)] })
  await expect(openCheckpoint(byWitness, [log, witness])).rejects.toThrow('no log key')
})

test('tlog-cosignature: a witness signs text and time; another time, text or key is none', async () => {
  const line = await cosign(TEXT, witness, witnessPrivate, 1_800_000_000)
  expect(await signaturesBy({ text: TEXT, lines: [line] }, [witness])).toEqual([{ key: witness, at: 1_800_000_000 }])
  const bytes = Buffer.from(line.split(' ')[2] ?? '', 'base64')
  for (const at of [4, 11, 12, 75]) {
    const bent = Buffer.from(bytes)
    bent[at] = (bent[at] as number) ^ 1
    const lines = [`— ${witness.name} ${bent.toString('base64')}`]
    await expect(signaturesBy({ text: TEXT, lines }, [witness]), `byte ${at}`).rejects.toThrow('not good')
  }
  expect(await signaturesBy({ text: TEXT, lines: [line] }, [log])).toEqual([])
  await expect(signaturesBy({ text: `${TEXT}more\n`, lines: [line] }, [witness])).rejects.toThrow('not good')
})

test('tlog-checkpoint: anything but three lines in their one spelling is refused', () => {
  expect(parseCheckpoint(TEXT)).toEqual({ origin: log.name, size: 12, root: ROOT })
  const root = ROOT.toString('base64')
  const wrong = [
    '',
    'a\n1\n',
    `\n1\n${root}\n`,
    `a\n01\n${root}\n`,
    `a\n-1\n${root}\n`,
    `a\n1\n${root}`,
    `a\n1\n${root}\nmore\n`,
  ]
  wrong.push(
    `a\n1e3\n${root}\n`,
    `a\n9007199254740992\n${root}\n`,
    `a\n1\n${root.slice(4)}\n`,
    `a\n1\n${root.slice(0, -1)}\n`,
  )
  for (const text of wrong) expect(() => parseCheckpoint(text), JSON.stringify(text)).toThrow(NoteError)
  expect(parseSize('0')).toBe(0)
})

test('tlog-proof: a receipt is written and read back, and nothing else passes for one', async () => {
  const checkpoint = formatNote({ text: TEXT, lines: [await signNote(TEXT, log, logPrivate)] })
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes))
  const extra = fc.option(
    fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    {
      nil: undefined,
    },
  )
  fc.assert(
    fc.property(fc.nat(), fc.array(hash, { maxLength: 63 }), extra, (index, path, more) => {
      const proof = { index, path, extra: more, checkpoint }
      expect(parseTlogProof(formatTlogProof(proof))).toEqual(proof)
    }),
    { numRuns: 50 },
  )
  const text = formatTlogProof({ index: 3, path: [ROOT], extra: undefined, checkpoint })
  expect(text.split('\n').slice(0, 4)).toEqual(['c2sp.org/tlog-proof@v1', 'index 3', ROOT.toString('base64'), ''])
  const wrong = ['', text.slice(1), text.replace('@v1', '@v2'), text.replace('index 3', 'index 03')]
  wrong.push(text.replace('index 3', 'extra A\nindex 3'), text.replace('index 3', 'index'), text.replace('Bw', 'B'))
  wrong.push(text.replace('index 3\n', `index 3\n${`${ROOT.toString('base64')}\n`.repeat(63)}`))
  for (const one of wrong) expect(() => parseTlogProof(one), one.slice(0, 60)).toThrow(NoteError)
})

test('an entry is a version and a hash of salt and text', () => {
  const entry = saltedEntry(Buffer.alloc(16), 'record')
  expect([entry.length, entry[0]]).toEqual([33, 1])
  expect(saltedEntry(Buffer.alloc(16, 1), 'record')).not.toEqual(entry)
})

test('an entry is of the text’s UTF-8, whether that is given or the text, however long', () => {
  for (const text of ['', 'record', 'é\ud800', 'é'.repeat(40_000)]) {
    const utf8 = Buffer.from(text)
    const hashed = createHash('sha256').update(Buffer.alloc(16, 7)).update(utf8).digest()
    const entry = Buffer.concat([Buffer.of(1), hashed])
    expect([saltedEntry(Buffer.alloc(16, 7), text), saltedEntry(Buffer.alloc(16, 7), utf8)]).toEqual([entry, entry])
  }
})
