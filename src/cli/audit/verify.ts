/** `errand audit verify`: walks the whole log against its checkpoints, and names the first record that is not as it was. */
import { basename } from 'node:path'
import { type VerifiedAgainst, verifyAgainst } from '../../audit/log/verify/anchors.ts'
import { wordsOf } from '../../audit/log/verify/continued.ts'
import { LogFault } from '../../audit/log/verify/log-source.ts'
import { configPath, loadConfig } from '../../config/load-config.ts'
import { findLogKey } from '../../keys/log-key.ts'
import type { NoteKey } from '../../tlog/note-keys.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import { readText } from '../named-document.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { createFile, PUBLIC } from '../private-file.ts'
import { askLogState, type LogStateAnswer, logOverHttp } from './log-over-http.ts'
import { signatureFacts, TRUST_OPTIONS, trustedKeys } from './verify-receipt.ts'

export const auditVerifyCommand: CommandBody = {
  arguments: [],
  options: {
    ...TRUST_OPTIONS,
    checkpoint: { value: 'FILE', help: 'an earlier checkpoint, kept elsewhere; may be repeated', repeats: true },
    save: { value: 'FILE', help: 'keep the newest checkpoint there, for the next time' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand audit verify --save today.checkpoint',
    'errand audit verify --checkpoint yesterday.checkpoint',
    'errand audit verify --admin admin.json --key errand.example/audit+1d2c3b4a+AZ…',
  ],
  notes: [
    'Exit code 0: every record, entry, tile and column is what the newest checkpoint stands for. 1: the first index that is not, and what is wrong with it.',
    'On the broker’s own machine its key is trusted; from elsewhere, and where other machines’ brokers sign too, give --key. What the store says of keys counts for nothing.',
    'A log that was continued without its end (errand audit continue) is said to be so each time, and is a fault until --key has its name since.',
    'A log that was put back as a whole, its checkpoint too, is found by a checkpoint kept elsewhere (--checkpoint) or by a witness.',
  ],
  run: async (args, io) => {
    const connect = () => connectOperator(args)
    const state = await askLogState(await connect())
    const keys = [...trustedKeys(args, 'key', 'log'), ...(await ownKey(args))]
    if (keys.length === 0) throw new UsageError(noKey(state))
    const trust = { keys, witnesses: trustedKeys(args, 'witness', 'witness') }
    const kept = args.all('checkpoint').map((path) => ({ name: basename(path), note: readText(path) }))
    const { checkpoint: newest, cosigned, continued } = state
    const found = { newest, cosigned, continued, kept }
    const progress = progressTo(io)
    try {
      const source = logOverHttp(connect)
      const verified = await verifyAgainst(found, trust, { source, progress: progress.show })
      progress.clear()
      const saved = args.text('save')
      if (saved !== undefined && state.checkpoint !== undefined) await createFile(saved, state.checkpoint, PUBLIC)
      report(verified, keys, args, io)
      return 0
    } catch (fault) {
      progress.clear()
      if (!(fault instanceof LogFault)) throw fault
      if (args.flag('json')) writeJson({ verified: false, index: fault.index, fault: fault.message }, io)
      else io.out(`${io.styles.bad('not as it was')}: index ${fault.index}: ${fault.message}\n`)
      return 1
    }
  },
}

/** On the broker's own machine: of the directory that signs. */
async function ownKey(args: Args): Promise<readonly NoteKey[]> {
  if (args.flag('admin')) return []
  const { keys, development, settings } = loadConfig(configPath(args.text('config')))
  const signer = await findLogKey({ directory: keys.directory, development, issuer: settings.issuer })
  return signer === undefined ? [] : [signer.key]
}

function noKey({ keys }: LogStateAnswer): string {
  const said = keys.length === 0 ? 'it names none' : `it says ${keys.join(' and ')}: ask its operator for the same`
  return `--key is needed: which key the log is signed with must not come from the broker; ${said}`
}

function progressTo(io: Io) {
  const write = (text: string) => io.outIsTerminal && io.err(`\r\u001b[K${text}`)
  const show = (records: number, of: number) => write(io.errStyles.dim(`${records} of ${of} records`))
  return { show, clear: () => write('') }
}

function report(
  { size, pruned, newest, cosigned, continuations, lost }: VerifiedAgainst,
  keys: readonly NoteKey[],
  args: Args,
  io: Io,
): void {
  const signed = (newest?.signed ?? []).map(signatureFacts)
  const witnessed = cosigned && {
    size: cosigned.checkpoint.size,
    by: cosigned.signed.filter(({ key }) => key.kind === 'witness').map(signatureFacts),
  }
  const checkpoint = newest && { origin: newest.checkpoint.origin, size: newest.checkpoint.size, signed }
  const vkeys = keys.map(({ vkey }) => vkey)
  if (args.flag('json')) {
    const continued = continuations.map(({ key: _key, ...one }) => one)
    writeJson({ verified: true, records: size, pruned, checkpoint, witnessed, continued, lost, keys: vkeys }, io)
    return
  }
  const { good, dim } = io.styles
  io.out(`${good('as it was signed')}: ${size} records${pruned === 0 ? '' : `, ${pruned} of them pruned`}\n`)
  for (const one of continuations) io.out(`  ${io.styles.bad('continued')}: ${wordsOf(one)}\n`)
  for (const name of lost) io.out(`  ${name} has records that are lost since\n`)
  if (checkpoint)
    io.out(`  checkpoint of ${checkpoint.size} records, signed by ${signed.map(({ key_id }) => key_id).join(', ')}\n`)
  if (witnessed)
    io.out(`  co-signed at ${witnessed.size} records by ${witnessed.by.map(({ name }) => name).join(', ')}\n`)
  for (const vkey of vkeys) io.out(dim(`  --key ${vkey}\n`))
}
