/** `errand audit continue`: lets the audit log go on where its end is lost for good. */
import type { CommandBody } from '../command.ts'
import { numberIn, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'

export const auditContinueCommand: CommandBody = {
  arguments: [],
  options: {
    reason: { value: 'TEXT', help: 'what happened, and why its end will not come back: it stays on record' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand audit continue --reason "INC-310: the store was restored from the copy of 02:00"'],
  notes: [
    'It takes the role security. First look whether the store can have back what it lost: what is continued once is never joined again.',
    'The log is signed under another name from then on. errand audit verify says so each time, and fails until it is given the key that this prints; a witness co-signs when its operator gives it that key, too.',
    'Nothing is done where the log is what was signed of it.',
  ],
  run: async (args, io) => {
    const reason = args.require('reason')
    const operator = await connectOperator(args)
    const answer = await operator.post('/audit/continue', { reason })
    if (args.flag('json')) {
      writeJson(answer, io)
      return 0
    }
    const { from, signed } = answer
    const isFork = numberIn(signed) <= numberIn(from)
    io.out(`${io.styles.bold('continued')} as ${textOf(answer['origin'])} (record ${textOf(answer['decision_id'])})\n`)
    io.out(`  from record ${from} on; ${textOf(answer['before'])} had signed ${signed}\n`)
    if (isFork) io.out(`  ${io.styles.bad('what is before is not all what was signed')}: nobody vouches for it\n`)
    io.out(`  --key ${textOf(answer['key'])}\n`)
    return 0
  },
}
