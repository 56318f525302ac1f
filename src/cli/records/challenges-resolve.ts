/** `errand challenges resolve`: the least grant that a challenge needs, until a time; first shown, then published. */
import { CHALLENGE_GRANT_S_DEFAULT, CHALLENGE_GRANT_S_MAX } from '../../kernel/limits.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { plural, printable, type Styles } from '../terminal.ts'

const HOUR_S = 3600

export const challengesResolveCommand: CommandBody = {
  arguments: ['CHALLENGE'],
  options: {
    reason: { value: 'TEXT', help: 'why, for the record; without it nothing is granted, only shown' },
    hours: {
      value: 'N',
      help: `for how long (default ${CHALLENGE_GRANT_S_DEFAULT / HOUR_S}, at most ${CHALLENGE_GRANT_S_MAX / HOUR_S})`,
    },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand challenges resolve chl_Z2otUTkKFXthoerU87apG3',
    'errand challenges resolve chl_Z2otUTkKFXthoerU87apG3 --reason "quarter end" --hours 4',
  ],
  notes: [
    'The id is that of errand challenges. Exit code 1: no grant alone resolves it; what stands in the way is said.',
    'Where the configuration asks for a second person, the first approval is a proposal.',
  ],
  run: async (args, io) => {
    const [id = ''] = args.positionals
    const [reason, hours] = [args.text('reason'), args.whole('hours', 1, CHALLENGE_GRANT_S_MAX / HOUR_S)]
    if (hours !== undefined && reason === undefined) throw new UsageError('--hours goes with --reason')
    const operator = await connectOperator(args)
    const path = `/challenges/${encodeURIComponent(id)}`
    const preview = await operator.post(`${path}/preview`, {})
    const approvable = preview['approvable'] === true
    if (reason === undefined || !approvable) {
      if (args.flag('json')) writeJson(preview, io)
      else io.out(drawPreview(preview, io.styles))
      return approvable ? 0 : 1
    }
    const span = hours === undefined ? {} : { expires_in_seconds: hours * HOUR_S }
    const done = await operator.post(`${path}/resolve`, { reason, ...span })
    if (args.flag('json')) writeJson(done, io)
    else io.out(drawDone(preview, done, io.styles))
    return 0
  },
}

function drawPreview(preview: JsonObject, { bold, dim, bad }: Styles): string {
  const texts = (name: string) => arrayOf(preview[name]).flatMap((one) => printable(textOf(one) ?? ''))
  if (preview['approvable'] !== true) {
    return [bad('no grant alone resolves it'), ...texts('why_not').map((line) => `  ${line}`), ''].join('\n')
  }
  const others = arrayOf(preview['also_allows']).map(jsonObject)
  const turns = `${texts('turns').length} of ${plural(numberIn(preview['looked_at']), 'recent request')}`
  return [
    `would ${bold(printable(textOf(jsonObject(preview['grant'])['says']) ?? ''))}`,
    `  it would turn ${turns}`,
    ...others.map((one) => `  agent ${textOf(one['agent'])} could use it, too: ${arrayOf(one['tools']).join(', ')}`),
    dim('nothing is granted yet: --reason TEXT does'),
    '',
  ].join('\n')
}

function drawDone(preview: JsonObject, done: JsonObject, { good, accent, dim }: Styles): string {
  const says = printable(textOf(jsonObject(preview['grant'])['says']) ?? '')
  if (done['state'] !== 'resolved') {
    return `${accent('proposed')}: ${says}; another approver confirms it until ${textOf(done['until'])}\n`
  }
  const grants = arrayOf(done['grants']).join(', ')
  return [`${good('resolved')}: ${says}`, dim(`  until ${textOf(done['expires_at'])}, ${grants}`), ''].join('\n')
}
