/** `errand audit verify-receipt`: checks a receipt against keys one was given, with no broker and no network. */

import { timeText } from '../../kernel/time-text.ts'
import type { Signed } from '../../tlog/note.ts'
import { NoteError, type NoteKey, type NoteKeyKind, parseVkey } from '../../tlog/note-keys.ts'
import { openReceipt } from '../../tlog/receipt.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { readText } from '../named-document.ts'
import type { OptionSpecs } from '../options.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'

/** Whose word counts, as it was handed to whoever checks. */
export const TRUST_OPTIONS: OptionSpecs = {
  key: { value: 'VKEY', help: 'a key that the log is signed with, may be repeated', repeats: true },
  witness: { value: 'VKEY', help: 'a witness that must have co-signed, may be repeated', repeats: true },
}

export const verifyReceiptCommand: CommandBody = {
  arguments: ['FILE'],
  options: { ...TRUST_OPTIONS, ...JSON_OPTION },
  examples: ['errand audit verify-receipt dec_….tlog-proof --key errand.example/audit+1d2c3b4a+AZ…'],
  notes: [
    'Needs the file and the key, nothing else: no broker, no network. The key is what errand audit verify prints; take it from there once, and keep it.',
    'The file is a tlog-proof (c2sp.org/tlog-proof) with the record and its salt as extra.',
  ],
  run: async (args, io) => {
    const [file = ''] = args.positionals
    const keys = trustedKeys(args, 'key', 'log')
    if (keys.length === 0) throw new UsageError('--key is needed: whom the receipt is to be believed from')
    const witnesses = trustedKeys(args, 'witness', 'witness')
    const { index, record, checkpoint, signed } = await opened(readText(file), [...keys, ...witnesses])
    const missing = witnesses.filter(({ vkey }) => !signed.some(({ key }) => key.vkey === vkey))
    if (missing.length > 0)
      throw new CommandFailure(`${missing.map(({ name }) => name).join(', ')} has not co-signed it`)
    const facts = { index, origin: checkpoint.origin, size: checkpoint.size, signed: signed.map(signatureFacts) }
    if (args.flag('json')) writeJson({ ...facts, record: JSON.parse(record) }, io)
    else {
      io.err(
        `${io.errStyles.good('proven')}: record ${index} of ${checkpoint.origin}, in the log of ${checkpoint.size}\n`,
      )
      for (const one of signed) io.err(`  signed by ${one.key.name} (${one.key.id})${cosignedAt(one)}\n`)
      io.out(`${record}\n`)
    }
    return 0
  },
}

async function opened(text: string, keys: readonly NoteKey[]) {
  try {
    return await openReceipt(text, keys)
  } catch (fault) {
    if (fault instanceof NoteError) throw new CommandFailure(`the receipt proves nothing: ${fault.message}`)
    throw fault
  }
}

/** @throws UsageError */
export function trustedKeys(args: Args, option: string, kind: NoteKeyKind): readonly NoteKey[] {
  return args.all(option).map((text) => {
    try {
      const key = parseVkey(text)
      if (key.kind === kind) return key
    } catch (fault) {
      if (!(fault instanceof NoteError)) throw fault
      throw new UsageError(`--${option}: ${fault.message}`)
    }
    throw new UsageError(`--${option} must be the vkey of a ${kind}`)
  })
}

export function signatureFacts({ key, at }: Signed) {
  return { name: key.name, key_id: key.id, ...(at === undefined ? {} : { at: timeText(at) }) }
}

function cosignedAt({ at }: Signed): string {
  return at === undefined ? '' : ` at ${timeText(at)}`
}
