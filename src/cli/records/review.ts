/** `errand review`: who may what and does not use it, what ends, who is missing; for a person, and for a scheduled build. */
import { stringify } from 'yaml'
import { REVIEW_DAYS_DEFAULT, REVIEW_DAYS_MAX } from '../../kernel/store-limits.ts'
import type { CommandBody } from '../command.ts'
import { programName, typedPath } from '../invocation.ts'
import { type JsonObject, jsonObject, numberIn } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS, type Operator } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { createFile, PRIVATE } from '../private-file.ts'
import { plural, printable, type Styles } from '../terminal.ts'
import { narrowedDraft } from './narrowed-draft.ts'
import { drawReview } from './review-drawing.ts'

export const reviewCommand: CommandBody = {
  arguments: [],
  options: {
    days: { value: 'N', help: `what was not used for so long is unused (default ${REVIEW_DAYS_DEFAULT})` },
    narrow: {
      value: 'FILE',
      help: 'write the policy without what no agent uses to this file: a draft; nothing is published',
    },
    fail: { help: 'exit code 1 where something needs attention: for a scheduled build' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand review',
    'errand review --days 90 --fail',
    'errand review --narrow draft.yaml',
    'errand policy diff --draft draft.yaml',
  ],
  notes: [
    'An agent uses a tool when an access token that carries it is issued to it, or to whom it has passed it on. What has not been counted for that long is not called unused.',
    'With --narrow agents are left what they use and no more; errand policy diff and errand policy shadow say what that would have refused. What was written over the admin API is not in the draft.',
  ],
  run: async (args, io) => {
    const days = args.whole('days', 1, REVIEW_DAYS_MAX) ?? REVIEW_DAYS_DEFAULT
    const operator = await connectOperator(args)
    const review = await operator.get(`/review?days=${days}`)
    const file = args.text('narrow')
    const narrow = file === undefined ? undefined : await writeNarrowed(file, review, operator)
    if (args.flag('json')) writeJson(narrow === undefined ? review : { ...review, narrow }, io)
    else io.out(drawReview(review, io.styles) + (narrow === undefined ? '' : drawNarrowed(narrow, io.styles)))
    // Written so that an answer without a number fails, too.
    return args.flag('fail') && numberIn(review['attention']) !== 0 ? 1 : 0
  },
}

interface Narrowed {
  /** `null`: there was nothing to narrow, and nothing is written. */
  readonly file: string | null
  readonly narrowed: readonly string[]
  /** Whose manifests were written over the API. */
  readonly left: readonly string[]
}

async function writeNarrowed(file: string, review: JsonObject, operator: Operator): Promise<Narrowed> {
  const [all, api] = [await operator.get('/registry'), await operator.get('/registry?source=api')].map((answer) =>
    jsonObject(answer['document']),
  )
  const { document, narrowed, left } = narrowedDraft(review, all ?? {}, api ?? {})
  if (narrowed.length === 0) return { file: null, narrowed, left }
  await createFile(file, stringify(document, { aliasDuplicateObjects: false }), PRIVATE)
  return { file, narrowed, left }
}

function drawNarrowed({ file, narrowed, left }: Narrowed, { bold, dim }: Styles): string {
  const elsewhere = left.map((id) => `  ${printable(id)} was written over the admin API: change its manifest there`)
  if (file === null) return ['nothing to narrow in the policy files: no draft is written', ...elsewhere, ''].join('\n')
  return [
    `${bold('draft')} of ${plural(narrowed.length, 'narrowed agent')} in ${typedPath(file)}: ${narrowed.map(printable).join(', ')}`,
    ...elsewhere,
    dim(`  ${programName()} policy diff --draft ${typedPath(file)}`),
    '',
  ].join('\n')
}
