/** `errand policy apply`: publishes the policy files through the running broker; says what changes, and what is cut off. */
import { filesOf } from '../admin/publication/open-policy.ts'
import { configPath, loadConfig, readRegistryFiles } from '../config/load-config.ts'
import type { CommandBody } from './command.ts'
import { arrayOf, jsonObject, textOf } from './json-fields.ts'
import { BROKER_OPTION, connectOperator, NAME_OPTION } from './operator.ts'
import { CONFIG_OPTION, JSON_OPTION } from './options.ts'
import { writeJson } from './output.ts'
import { plural, printable, type Styles } from './terminal.ts'

export const policyApplyCommand: CommandBody = {
  arguments: [],
  options: {
    'dry-run': { help: 'say what would change, and publish nothing' },
    ...CONFIG_OPTION,
    ...BROKER_OPTION,
    ...NAME_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand policy apply --dry-run', 'errand policy apply --config errand.yaml'],
  notes: [
    'All brokers that share a store decide by the new policy within moments, without a restart. Whatever it takes away is cut off in the same write: tokens that hold more than it gives are dead.',
  ],
  run: async (args, io) => {
    const files = filesOf(readRegistryFiles(loadConfig(configPath(args.text('config')))))
    const operator = await connectOperator(args)
    const answer = await operator.post('/policy', { files, dry_run: args.flag('dry-run') })
    if (args.flag('json')) writeJson(answer, io)
    else io.out(draw(answer, args.flag('dry-run'), io.styles))
    return 0
  },
}

function draw(answer: Readonly<Record<string, unknown>>, isPreview: boolean, styles: Styles): string {
  const [version, before] = [textOf(answer['version']) ?? '', textOf(answer['before']) ?? '']
  if (version === before) return `policy ${version.slice(0, 12)} is published already\n`
  const difference = jsonObject(answer['difference'])
  const names = (kind: string, sign: string) =>
    arrayOf(difference[kind]).map((name) => `  ${sign} ${printable(textOf(name) ?? '')}`)
  const cut = arrayOf(answer['cut_off']).map(jsonObject)
  const lines = [
    `${isPreview ? styles.accent('would publish') : styles.good('published')} policy ${version.slice(0, 12)} in place of ${before.slice(0, 12)}`,
    ...[...names('added', '+'), ...names('changed', '~'), ...names('removed', '-')],
    `${plural(cut.length, 'cut-off')}${cut.length === 0 ? ': nothing is taken away' : ''}`,
    ...cut.map(({ dimension, id, why }) =>
      printable(`  ${textOf(dimension)?.replace('_', ' ')} ${textOf(id)}  (${textOf(why)})`),
    ),
    ...(answer['truncated'] === true ? ['there is more than is shown'] : []),
  ]
  return `${lines.join('\n')}\n`
}
