/** `errand blocks`: who may begin nothing until somebody lifts it, with the line that does. */
import type { CommandBody } from '../command.ts'
import { shellWord } from '../invocation.ts'
import { arrayOf, jsonObject, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'

export const blocksCommand: CommandBody = {
  arguments: [],
  options: { ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand blocks', 'errand blocks --json'],
  run: async (args, io) => {
    const operator = await connectOperator(args)
    const answer = await operator.get('/blocks')
    if (args.flag('json')) writeJson(answer, io)
    else {
      const blocks = arrayOf(answer['blocks']).map(jsonObject)
      io.out(blocks.length === 0 ? 'nothing is blocked\n' : blocks.map((block) => `${line(block)}\n`).join(''))
    }
    return 0
  },
}

function line(block: Readonly<Record<string, unknown>>): string {
  const [kind, id, since] = [textOf(block['kind']) ?? '', textOf(block['id']) ?? '', textOf(block['since']) ?? '']
  return `${kind.replace('_', ' ').padEnd(6)} ${id.replace('|', ' × ')}  since ${since}  errand lift ${liftOf(kind, id)}`
}

function liftOf(kind: string, id: string): string {
  const [first = '', second = ''] = id.split('|')
  if (kind === 'pair' || kind === 'halt') return `--on-behalf ${shellWord(first)} --by ${shellWord(second)}`
  if (kind === 'agent_version') return `--agent-version ${shellWord(`${first}@${second}`)}`
  return `--${kind} ${shellWord(id)}`
}
