/** `errand policy apply`: publishes the policy files through the running broker; says what changes, and what is cut off. */

import { filesOf } from '../../admin/publication/open-policy.ts'
import { configPath, loadConfig, readRegistryFiles } from '../../config/load-config.ts'
import type { CommandBody } from '../command.ts'
import { arrayOf, jsonObject } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import type { Styles } from '../terminal.ts'
import { changeLines, cutOffLines, shortVersion } from './publication-drawing.ts'

export const policyApplyCommand: CommandBody = {
  arguments: [],
  options: {
    'dry-run': { help: 'say what would change, and publish nothing' },
    'fail-on-widening': {
      help: 'publish nothing, and exit code 1 where a manifest or a grant would give more: for a build',
    },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand policy apply --dry-run',
    'errand policy apply --fail-on-widening',
    'errand policy apply --config errand.yaml',
  ],
  notes: [
    'All brokers that share a store decide by the new policy within moments, without a restart. Whatever it takes away is cut off in the same write: tokens that hold more than it gives are dead.',
  ],
  run: async (args, io) => {
    const files = filesOf(readRegistryFiles(loadConfig(configPath(args.text('config')))))
    const operator = await connectOperator(args)
    const isJudged = args.flag('fail-on-widening')
    const isPreview = args.flag('dry-run') || isJudged
    const answer = await operator.post('/policy', { files, dry_run: isPreview })
    if (args.flag('json')) writeJson(answer, io)
    else io.out(draw(answer, isPreview, io.styles))
    return isJudged && arrayOf(jsonObject(answer['difference'])['widened']).length > 0 ? 1 : 0
  },
}

function draw(answer: Readonly<Record<string, unknown>>, isPreview: boolean, styles: Styles): string {
  const [version, before] = [shortVersion(answer['version']), shortVersion(answer['before'])]
  if (answer['version'] === answer['before']) return `policy ${version} is published already\n`
  const lines = [
    `${isPreview ? styles.accent('would publish') : styles.good('published')} policy ${version} in place of ${before}`,
    ...changeLines(jsonObject(answer['difference'])),
    ...cutOffLines(answer['cut_off']),
    ...(answer['truncated'] === true ? ['there is more than is shown'] : []),
  ]
  return `${lines.join('\n')}\n`
}
