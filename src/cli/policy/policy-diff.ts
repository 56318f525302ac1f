/** `errand policy diff`: the past decisions that a draft of the policy would answer otherwise; for a person, and for a build. */

import { DECISIONS_LOOKED_AT_MAX } from '../../kernel/limits.ts'
import type { CommandBody } from '../command.ts'
import { arrayOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawDiff } from './diff-drawing.ts'
import { DRAFT_OPTION, draftFiles } from './draft-files.ts'

export const policyDiffCommand: CommandBody = {
  arguments: [],
  options: {
    ...DRAFT_OPTION,
    since: { value: 'TIME', help: 'only decisions since then, such as 2026-11-01T00:00:00Z' },
    limit: { value: 'N', help: `at most so many decisions, newest first (default ${DECISIONS_LOOKED_AT_MAX})` },
    'fail-on-change': { help: 'exit code 1 where any would change: for a build' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand policy diff',
    'errand policy diff --draft policy.yaml --draft grants.yaml --since 2026-11-01T00:00:00Z --fail-on-change',
  ],
  notes: [
    'Asks the running broker, which has the decisions; nothing is published. It says how many it compared, and how many it could not.',
  ],
  run: async (args, io) => {
    const files = draftFiles(args)
    const limit = args.whole('limit', 1, DECISIONS_LOOKED_AT_MAX)
    const since = args.text('since')
    const operator = await connectOperator(args)
    const answer = await operator.post('/policy/diff', {
      files,
      ...(since === undefined ? {} : { since }),
      ...(limit === undefined ? {} : { limit }),
    })
    if (args.flag('json')) writeJson(answer, io)
    else io.out(drawDiff(answer, io.styles))
    return args.flag('fail-on-change') && arrayOf(answer['changed']).length > 0 ? 1 : 0
  },
}
