/** `errand report architecture`: the page an architecture review asks for, from the running broker. */

import type { CommandBody } from '../command.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { writeJson } from '../output.ts'
import { architectureMarkdown, architectureText } from './architecture-drawing.ts'

const FORMATS = ['text', 'markdown', 'json']

export const reportArchitectureCommand: CommandBody = {
  arguments: [],
  options: {
    format: { value: 'FORMAT', help: `${FORMATS.join(', ')} (default text)`, oneOf: FORMATS },
    ...OPERATOR_OPTIONS,
  },
  examples: ['errand report architecture', 'errand report architecture --format markdown'],
  notes: [
    'Runs on the broker’s own machine: it mints a management token from the broker’s keys, for this one request.',
  ],
  run: async (args, io) => {
    const page = await (await connectOperator(args)).get('/report/architecture')
    const format = args.text('format') ?? 'text'
    if (format === 'json') writeJson(page, io)
    else io.out(format === 'markdown' ? architectureMarkdown(page) : architectureText(page, io.styles))
    return 0
  },
}
