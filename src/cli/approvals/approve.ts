/** `errand approve`: one call, shown as it would be made; with a reason, a person's yes or no to it. */
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawApproval, drawSaid } from './approval-drawing.ts'

export const approveCommand: CommandBody = {
  arguments: ['APPROVAL'],
  options: {
    reason: { value: 'TEXT', help: 'why, for the record; without it nothing is approved, only shown' },
    deny: { help: 'say no; the same call is not asked for again for a while' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand approve apr_dzG1e05YkpZyqKU3IuPEmQpvb7sP0hUe1H0wQkq2mDWw --admin admin.json',
    'errand approve apr_dzG1e05YkpZyqKU3IuPEmQpvb7sP0hUe1H0wQkq2mDWw --reason "as agreed in ticket 4711" --admin admin.json',
    'errand approve apr_dzG1e05YkpZyqKU3IuPEmQpvb7sP0hUe1H0wQkq2mDWw --deny --reason "wrong table" --admin admin.json',
  ],
  notes: [
    'The id is that of errand approvals. A yes needs a person who has signed in (--admin), and who is neither the user the call is made for nor an owner of an agent that makes it; a no may come from the broker’s own machine, too.',
    'It is for exactly this call, once: another call, another argument, another session needs another.',
  ],
  run: async (args, io) => {
    const [id = ''] = args.positionals
    const [reason, isDenied] = [args.text('reason'), args.flag('deny')]
    if (isDenied && reason === undefined) throw new UsageError('--deny goes with --reason')
    const operator = await connectOperator(args)
    const path = `/approvals/${encodeURIComponent(id)}`
    const shown = await operator.get(path)
    if (reason === undefined) {
      if (args.flag('json')) writeJson(shown, io)
      else io.out(drawApproval(shown, io.styles))
      return textOf(shown['state']) === 'pending' ? 0 : 1
    }
    if (!args.flag('json')) io.out(drawApproval(shown, io.styles))
    const said = await operator.post(path, { decision: isDenied ? 'deny' : 'approve', reason })
    if (args.flag('json')) writeJson(said, io)
    else io.out(drawSaid(said, io.styles))
    return 0
  },
}
