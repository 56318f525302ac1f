/** `errand registry list`, `show` and `move`: single objects of the registry, wherever they are written. */
import { stringify } from 'yaml'
import { pathSegment } from '../../admin/objects/stored-objects.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import { LIFECYCLE_STATES } from '../../model/lifecycle.ts'
import { SECTION_NAMES, SECTIONS } from '../../registry/sections.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { plural, printable, type Styles } from '../terminal.ts'
import { cutOffLines, shortVersion } from './publication-drawing.ts'

const COMMON = { ...OPERATOR_OPTIONS, ...JSON_OPTION }
const FILTERS = ['owner', 'state', 'source', 'after'] as const

export const registryListCommand: CommandBody = {
  arguments: ['SECTION'],
  options: {
    owner: { value: 'WHO', help: 'only what they answer for, as its entry writes them' },
    state: { value: 'STATE', help: `only those in it: ${LIFECYCLE_STATES.join(', ')}` },
    source: { value: 'PLACE', help: 'only what is written there: file or api' },
    orphaned: { help: 'only those whose owner has left' },
    after: { value: 'ID', help: 'those behind it, where a list was too long' },
    ...COMMON,
  },
  examples: [
    'errand registry list agents',
    'errand registry list agents --orphaned',
    'errand registry list grants --source api',
  ],
  notes: [`Sections: ${SECTION_NAMES.join(', ')}.`],
  run: async (args, io) => {
    const section = sectionNamed(args.positionals[0])
    const query = new URLSearchParams({ limit: '200' })
    for (const name of FILTERS) {
      const value = args.text(name)
      if (value !== undefined) query.set(name, value)
    }
    if (args.flag('orphaned')) query.set('orphaned', 'true')
    const page = await (await connectOperator(args)).get(`/${section}?${query}`)
    if (args.flag('json')) writeJson(page, io)
    else io.out(drawList(page, io.styles))
    return 0
  },
}

export const registryShowCommand: CommandBody = {
  arguments: ['SECTION', 'ID'],
  options: COMMON,
  examples: ['errand registry show agents report-agent', 'errand registry show users corp:alice --json'],
  run: async (args, io) => {
    const [section, id = ''] = args.positionals
    const object = await (await connectOperator(args)).get(`/${sectionNamed(section)}/${pathSegment(id)}`)
    if (args.flag('json')) writeJson(object, io)
    else {
      const facts = ['source', 'version'].map((name) => `# ${name} ${printable(textOf(object[name]) ?? '')}\n`)
      io.out(`${facts.join('')}${stringify(jsonObject(object['entry']), { aliasDuplicateObjects: false })}`)
    }
    return 0
  },
}

export const registryMoveCommand: CommandBody = {
  arguments: ['SECTION', 'ID', 'STATE'],
  options: COMMON,
  examples: ['errand registry move agents report-agent suspended', 'errand registry move resources old-wiki retired'],
  notes: [
    `Of what was written over the admin API; what a file says is changed there. States: ${LIFECYCLE_STATES.join(', ')}; retired is the end.`,
    'To stop an agent at once, wherever it is written: errand revoke --agent ID --block.',
  ],
  run: async (args, io) => {
    const [named, id = '', state = ''] = args.positionals
    const section = sectionNamed(named)
    if (!SECTIONS[section].hasState) throw new UsageError(`${section} have no state: agents, resources and services do`)
    const operator = await connectOperator(args)
    const done = await operator.post(`/${section}/${pathSegment(id)}/state`, { state })
    if (args.flag('json')) writeJson(done, io)
    else {
      const now = textOf(jsonObject(done['object'])['state']) ?? ''
      io.out(
        [`${id} is ${now}, policy ${shortVersion(done['policy'])}`, ...cutOffLines(done['cut_off']), ''].join('\n'),
      )
    }
    return 0
  },
}

/** @throws UsageError */
function sectionNamed(text = '') {
  const section = SECTION_NAMES.find((name) => name === text)
  if (section !== undefined) return section
  const near = nearestName(text, SECTION_NAMES)
  const hint = near === undefined ? `sections are ${SECTION_NAMES.join(', ')}` : `did you mean ${near}?`
  throw new UsageError(`the registry has no section ${printable(text)}; ${hint}`)
}

function drawList(page: JsonObject, { bold, dim, bad }: Styles): string {
  const objects = arrayOf(page['objects']).map(jsonObject)
  const rows = objects.map((object) => {
    const say = (value: unknown) => printable(textOf(value) ?? '')
    const owner = jsonObject(object['entry'])['owner']
    return [
      bold(say(object['id'])),
      ...(object['state'] === undefined ? [] : [say(object['state'])]),
      ...(owner === undefined ? [] : [`owner ${say(owner)}`]),
      dim(say(object['source'])),
      ...(object['orphaned'] === true ? [bad(orphanedSince(object))] : []),
    ].join('  ')
  })
  const after = textOf(page['after'])
  const rest = after === undefined ? '' : `; more behind: --after ${after}`
  return [...rows, dim(`${plural(objects.length, 'object')}${rest}`), ''].join('\n')
}

function orphanedSince(object: JsonObject): string {
  const [since, ends] = [textOf(object['orphaned_since']), textOf(object['issued_nothing_from'])]
  return [
    'orphaned',
    ...(since === undefined ? [] : [`since ${printable(since)}, issued nothing from ${printable(ends ?? '')}`]),
  ].join(' ')
}
