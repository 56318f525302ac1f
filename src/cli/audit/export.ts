/** `errand audit export`: the audit log as JSON lines, in its order, from where an earlier one ended. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import { arrayOf, exactText, jsonObject, numberIn } from '../json-fields.ts'
import { readText } from '../named-document.ts'
import { connectOperator, OPERATOR_OPTIONS, type Operator } from '../operator.ts'
import { PRIVATE, replaceFile } from '../private-file.ts'
import { gapWords } from './trail-pages.ts'

/** Each look is on record itself, and is exported by the next one. */
const FOLLOW_MS = 5_000
/** A command's token lasts a minute (`operator.ts`). */
const CONNECTED_MS = 30_000

export const auditExportCommand: CommandBody = {
  arguments: [],
  options: {
    'from-index': { value: 'N', help: 'the first record: its place in the log (default: the beginning)' },
    since: { value: 'TIME', help: 'only records from then on, as 2026-11-01T14:00:00Z' },
    cursor: { value: 'FILE', help: 'begin where FILE says, and write there how far it has come' },
    follow: { help: 'go on with what comes, until stopped' },
    ...OPERATOR_OPTIONS,
  },
  examples: [
    'errand audit export --since 2026-11-01T00:00:00Z > november.jsonl',
    'errand audit export --cursor siem.cursor >> audit.jsonl',
    'errand audit export --follow --from-index 4096 | vector',
  ],
  notes: [
    'A line is {"index":…,"salt":…,"record":{…}}, the record letter by letter as the log has committed to it, or {"gap":{…}}.',
    'The cursor is written behind what it stands for: a line may come twice, and none is left out. To send the log to others by itself, see audit.export in errand.yaml.',
  ],
  run: async (args, io) => {
    const cursor = args.text('cursor')
    if (cursor !== undefined && (args.flag('from-index') || args.flag('since'))) {
      throw new UsageError('--cursor goes without --from-index and --since')
    }
    const begin = cursor === undefined ? args.whole('from-index', 0, Number.MAX_SAFE_INTEGER) : cursorIn(cursor)
    const next = await exportFrom(begin, args, io, cursor)
    io.err(`next: --from-index ${next}\n`)
    return 0
  },
}

async function exportFrom(begin: number | undefined, args: Args, io: Io, cursor: string | undefined): Promise<number> {
  let operator = await connectOperator(args)
  let connectedMs = performance.now()
  for (let from = begin; ; ) {
    if (performance.now() - connectedMs > CONNECTED_MS) {
      operator = await connectOperator(args)
      connectedMs = performance.now()
    }
    const next = await exportPage(operator, { from, since: args.text('since') }, io)
    if (cursor !== undefined && next !== from) await replaceFile(cursor, `${next}\n`, PRIVATE)
    const isAll = next === from
    from = next
    if (isAll && !args.flag('follow')) return next
    if (isAll) await sleep(FOLLOW_MS)
  }
}

/** @returns where the next page begins */
async function exportPage(
  operator: Operator,
  { from, since }: { readonly from: number | undefined; readonly since: string | undefined },
  io: Io,
): Promise<number> {
  const asked = new URLSearchParams()
  if (from !== undefined) asked.set('from_index', String(from))
  if (since !== undefined) asked.set('since', since)
  const answer = await operator.get(`/audit/records?${asked}`)
  for (const gap of arrayOf(answer['gaps']).map(jsonObject)) {
    io.out(`${JSON.stringify({ gap })}\n`)
    io.err(`${gapWords(gap)}\n`)
  }
  for (const row of arrayOf(answer['records']).map(jsonObject)) {
    const { index, salt } = row
    io.out(`{"index":${index},"salt":${JSON.stringify(salt)},"record":${exactText(row['record'])}}\n`)
  }
  const next = numberIn(answer['next'])
  if (Number.isNaN(next)) throw new CommandFailure('the broker did not say where to go on')
  if (next < (from ?? 0)) io.err(`the log ends before record ${from}: what comes from record ${next} on is new\n`)
  return next
}

function cursorIn(path: string): number | undefined {
  if (!existsSync(path)) return undefined
  const text = readText(path).trim()
  if (!/^\d{1,15}$/.test(text)) throw new CommandFailure(`${path} is not a cursor of errand audit export`)
  return Number(text)
}
