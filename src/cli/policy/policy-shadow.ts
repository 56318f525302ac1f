/** `errand policy shadow`: a draft of the policy beside the one that decides: begun until a time, looked at, ended. */
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { SHADOW_DAYS_MAX } from '../../kernel/policy-limits.ts'
import { timeText } from '../../kernel/time-text.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { plural, type Styles } from '../terminal.ts'
import { DRAFT_OPTION, draftFiles } from './draft-files.ts'
import { shortVersion } from './publication-drawing.ts'

const PATH = '/policy/shadow'
const DAYS_DEFAULT = 7
const DAY_S = 24 * 3600
const ACTIONS = ['start', 'stop'] as const

export const policyShadowCommand: CommandBody = {
  arguments: ['[ACTION]'],
  options: {
    ...DRAFT_OPTION,
    days: {
      value: 'N',
      help: `with start: for how long (default ${DAYS_DEFAULT}, at most ${SHADOW_DAYS_MAX}); then it is off by itself`,
    },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand policy shadow start --draft policy.yaml --days 14',
    'errand policy shadow',
    'errand decisions --shadow-differs',
    'errand policy shadow stop',
  ],
  notes: [
    'ACTION is start or stop; without one it says which draft runs and how many decisions it would have answered otherwise.',
    'The draft decides nothing: what it would have answered is put on record beside each answer. A draft that is started takes the place of the one there. Starting and stopping take the role security.',
  ],
  run: async (args, io) => {
    const action = actionOf(args)
    const order = action === 'start' ? startOrder(args) : undefined
    const operator = await connectOperator(args)
    const answer =
      order === undefined
        ? await (action === 'stop' ? operator.delete(PATH) : operator.get(PATH))
        : await operator.post(PATH, order)
    if (args.flag('json')) writeJson(answer, io)
    else io.out(draw(answer, action, io.styles))
    return 0
  },
}

type Action = (typeof ACTIONS)[number]

/** @throws UsageError */
function actionOf(args: Args): Action | undefined {
  const [word] = args.positionals
  const action = ACTIONS.find((one) => one === word)
  if (word !== undefined && action === undefined) throw new UsageError(`${word} is none of ${ACTIONS.join(', ')}`)
  for (const option of ['draft', 'days']) {
    if (action !== 'start' && args.flag(option)) throw new UsageError(`--${option} goes with start`)
  }
  return action
}

function startOrder(args: Args): Readonly<Record<string, unknown>> {
  const days = args.whole('days', 1, SHADOW_DAYS_MAX) ?? DAYS_DEFAULT
  return { files: draftFiles(args), until: timeText(epochSeconds(systemClock) + days * DAY_S) }
}

function draw(answer: JsonObject, action: Action | undefined, { good, dim, accent }: Styles): string {
  if (answer['shadow'] === null) return 'no draft is in shadow\n'
  const shadow = jsonObject(answer['shadow'])
  const version = shortVersion(shadow['version'])
  const head =
    action === 'stop'
      ? `${good('ended')}: policy ${version} is in shadow no more`
      : shadow['active'] === true
        ? `${accent('in shadow')}: policy ${version} until ${textOf(shadow['until'])}`
        : `policy ${version} was in shadow until ${textOf(shadow['until'])}; its time is over`
  const [compared, differed, faults] = ['compared', 'differed', 'faults'].map((name) => numberIn(shadow[name]))
  return [
    head,
    `  ${dim(`begun ${textOf(shadow['begun_at'])} by ${textOf(shadow['by'])}`)}`,
    `  ${plural(compared ?? 0, 'decision')} compared, ${differed} it would answer otherwise`,
    ...(faults === 0 ? [] : [`  ${faults} could not be compared: the log says why`]),
    ...(differed === 0 ? [] : [dim('  errand decisions --shadow-differs lists them')]),
    '',
  ].join('\n')
}
