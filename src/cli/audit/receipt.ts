/** `errand audit receipt`: the proof that the log has a record, to hand to whoever needs one. */
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { arrayOf, jsonObject, numberIn } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { createFile, PUBLIC } from '../private-file.ts'

export const auditReceiptCommand: CommandBody = {
  arguments: ['ID'],
  options: {
    index: { value: 'N', help: 'of several records of one id: the one at this index' },
    out: { value: 'FILE', help: 'write it there, not to standard output' },
    ...OPERATOR_OPTIONS,
  },
  examples: [
    'errand audit receipt dec_… --out dec.tlog-proof',
    'errand audit verify-receipt dec.tlog-proof --key errand.example/audit+1d2c3b4a+AZ…',
  ],
  notes: [
    'It holds the whole record: hand it only to those who may read it. Whoever has the log’s key checks it offline.',
  ],
  run: async (args, io) => {
    const [id = ''] = args.positionals
    const operator = await connectOperator(args)
    const answer = await operator.get(`/audit/receipts/${encodeURIComponent(id)}`)
    const receipts = arrayOf(answer['receipts']).map(jsonObject)
    const wanted = args.whole('index', 0, Number.MAX_SAFE_INTEGER)
    const chosen = wanted === undefined ? receipts : receipts.filter(({ index }) => index === wanted)
    if (chosen.length > 1) {
      const all = chosen.map(({ index, event }) => `${numberIn(index)} (${String(event)})`).join(', ')
      throw new UsageError(`there are ${chosen.length} records of this id, at ${all}: choose one by --index`)
    }
    const text = chosen[0]?.['receipt']
    if (typeof text !== 'string') throw new CommandFailure('there is no record of this id at that index')
    const out = args.text('out')
    if (out === undefined) io.out(text)
    else await createFile(out, text, PUBLIC)
    return 0
  },
}
