/** `errand registry import`: a policy document in place of all that was written over the admin API; says what changes. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { codeOf } from '../kernel/fault.ts'
import { parseYamlText } from '../registry/strict-document.ts'
import type { CommandBody } from './command.ts'
import { UsageError } from './failures.ts'
import { arrayOf, type JsonObject, jsonObject, textOf } from './json-fields.ts'
import { BROKER_OPTION, connectOperator, NAME_OPTION } from './operator.ts'
import { CONFIG_OPTION, JSON_OPTION } from './options.ts'
import { writeJson } from './output.ts'
import { plural, printable } from './terminal.ts'

export const registryImportCommand: CommandBody = {
  arguments: ['FILE'],
  options: {
    'dry-run': { help: 'say what would change, and change nothing' },
    ...CONFIG_OPTION,
    ...BROKER_OPTION,
    ...NAME_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand registry import registry.yaml --dry-run', 'errand registry import registry.yaml'],
  notes: ['What files say stays; the document must not say it again. YAML, or JSON.'],
  run: async (args, io) => {
    const document = documentIn(args.positionals[0] ?? '')
    const isPreview = args.flag('dry-run')
    const operator = await connectOperator(args)
    const answer = await operator.post('/registry', { document, dry_run: isPreview })
    if (args.flag('json')) writeJson(answer, io)
    else io.out(draw(answer, isPreview))
    return 0
  },
}

/** @throws UsageError, ConfigurationError */
function documentIn(path: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (fault) {
    throw new UsageError(`${path} cannot be read (${codeOf(fault)})`)
  }
  return parseYamlText(text, basename(path))
}

function draw(answer: JsonObject, isPreview: boolean): string {
  const names = (kind: string, sign: string) =>
    arrayOf(answer[kind]).map((name) => `  ${sign} ${printable(textOf(name) ?? '')}`)
  const changes = [...names('added', '+'), ...names('changed', '~'), ...names('removed', '-')]
  const cut = arrayOf(answer['cut_off'])
    .map(jsonObject)
    .map(({ dimension, id, why }) => printable(`  ${textOf(dimension)} ${textOf(id)}  (${textOf(why)})`))
  const lines = [
    `${isPreview ? 'would be' : 'is now'} policy ${(textOf(answer['policy']) ?? '').slice(0, 12)}`,
    ...(changes.length === 0 ? ['  nothing changes'] : changes),
    `${plural(cut.length, 'cut-off')}${cut.length === 0 ? ': nothing is taken away' : ''}`,
    ...cut,
  ]
  return `${lines.join('\n')}\n`
}
