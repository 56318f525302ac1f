/** `errand audit access`: who had access to which server's data, through which agents, how often (R172). */
import type { CommandBody } from '../command.ts'
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION, type OptionSpecs } from '../options.ts'
import { writeJson } from '../output.ts'
import { plural, type Styles, wrapped } from '../terminal.ts'
import { TIME_OPTIONS, TRAIL_OPTIONS, trailQuery } from './trail-options.ts'
import { gapWords } from './trail-pages.ts'

const FILTERS: OptionSpecs = {
  ...Object.fromEntries(
    (['server', 'user', 'agent', 'tool'] as const).flatMap((name) =>
      TRAIL_OPTIONS[name] ? [[name, TRAIL_OPTIONS[name]]] : [],
    ),
  ),
  ...TIME_OPTIONS,
}

export const auditAccessCommand: CommandBody = {
  arguments: [],
  options: { ...FILTERS, ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: [
    'errand audit access --server patients --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z',
    'errand audit access --user alice@corp.example --json',
  ],
  notes: [
    'By server and person: calls that were allowed, how they ended, refusals, the agents and tools, first and last.',
  ],
  run: async (args, io) => {
    const body = await (await connectOperator(args)).get(`/audit/access?${trailQuery(args, FILTERS)}`)
    if (args.flag('json')) writeJson(body, io)
    else io.out(drawAccess(body, io.styles))
    return 0
  },
}

export function drawAccess(body: JsonObject, { bold, dim, bad }: Styles): string {
  const rows = arrayOf(body['rows']).map(jsonObject)
  const places = Map.groupBy(rows, (row) => textOf(row['resource']) ?? '')
  const gaps = arrayOf(body['gaps']).map((gap) => gapWords(jsonObject(gap)))
  const cut = body['cut'] === true ? ['older records were not counted: narrow the time with --since and --until'] : []
  return [
    ...(rows.length === 0 ? ['nobody called anything there'] : []),
    ...[...places].flatMap(([url, those]) => [
      `${bold(textOf(those[0]?.['server']) ?? url)}${dim(`  ${url}${those[0]?.['personal'] === true ? ', personal data' : ''}`)}`,
      ...those.flatMap((row) => rowLines(row, dim)),
    ]),
    ...[...cut, ...gaps].map((line) => bad(line)),
    '',
  ].join('\n')
}

function rowLines(row: JsonObject, dim: (text: string) => string): readonly string[] {
  const count = (name: string) => numberIn(row[name])
  const email = textOf(row['email'])
  const person = `${email === undefined ? '' : `${email} `}${textOf(row['person'])}`
  const ends = ['succeeded', 'failed', 'untold', 'refused'].flatMap((name) =>
    count(name) > 0 ? [`${count(name)} ${name === 'untold' ? 'not told of' : name}`] : [],
  )
  const list = (name: string) => arrayOf(row[name]).flatMap((one) => textOf(one) ?? [])
  return [
    ...wrapped(`${person}: ${[plural(count('calls'), 'call'), ...ends].join(', ')}`, '  '),
    ...wrapped(`${list('tools').join(', ')} by ${list('agents').join(', ')}`, '      ').map(dim),
    dim(`      ${textOf(row['first'])} to ${textOf(row['last'])}`),
  ]
}
