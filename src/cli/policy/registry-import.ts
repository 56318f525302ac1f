/** `errand registry import`: a policy document in place of all that was written over the admin API; says what changes. */

import type { CommandBody } from '../command.ts'
import type { JsonObject } from '../json-fields.ts'
import { readPolicyFile } from '../named-document.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { changeLines, cutOffLines, shortVersion } from './publication-drawing.ts'

export const registryImportCommand: CommandBody = {
  arguments: ['FILE'],
  options: {
    'dry-run': { help: 'say what would change, and change nothing' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand registry import registry.yaml --dry-run', 'errand registry import registry.yaml'],
  notes: ['What files say stays; the document must not say it again. YAML, or JSON.'],
  run: async (args, io) => {
    const { document } = readPolicyFile(args.positionals[0] ?? '')
    const isPreview = args.flag('dry-run')
    const operator = await connectOperator(args)
    const answer = await operator.post('/registry', { document, dry_run: isPreview })
    if (args.flag('json')) writeJson(answer, io)
    else io.out(draw(answer, isPreview))
    return 0
  },
}

function draw(answer: JsonObject, isPreview: boolean): string {
  const changes = changeLines(answer)
  const lines = [
    `${isPreview ? 'would be' : 'is now'} policy ${shortVersion(answer['policy'])}`,
    ...(changes.length === 0 ? ['  nothing changes'] : changes),
    ...cutOffLines(answer['cut_off']),
  ]
  return `${lines.join('\n')}\n`
}
