/** What an agent could be given, server by server: each tool with what is left of it, or with what refuses it. */
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { plural, printable, type Styles } from '../terminal.ts'

export function drawReach(reach: JsonObject, styles: Styles): string {
  const { bold, dim, bad } = styles
  const say = (name: string) => printable(textOf(reach[name]) ?? '')
  const own = say('on_behalf_of').startsWith('agent:')
  const servers = arrayOf(reach['servers']).map(jsonObject)
  const beyond = numberIn(reach['servers_beyond_manifest'])
  const stopped = arrayOf(reach['stopped']).map(jsonObject)
  return [
    `${bold(`agent ${say('agent')}`)}, ${own ? 'work of its own' : `for ${say('on_behalf_of')}`}`,
    dim(`  ${say('state')}, owner ${say('owner')}, policy ${say('policy').slice(0, 12)}, ${say('at')}`),
    ...stopped.map((stop) => bad(`  nothing at all: ${textOf(stop['reason'])}, ${textOf(stop['says'])}`)),
    ...servers.flatMap((server) => serverLines(server, styles)),
    '',
    ...(servers.length === 0 ? ['its manifest touches no server'] : []),
    ...(beyond === 0 ? [] : [`its manifest does not touch ${plural(beyond, 'server')} more`]),
    ...(reach['external_policy'] === 'not_asked' ? ['the external policy was not asked: it may take more away'] : []),
    '',
  ].join('\n')
}

function serverLines(server: JsonObject, { bold, dim, good, bad }: Styles): readonly string[] {
  const say = (name: string) => printable(textOf(server[name]) ?? '')
  const tools = arrayOf(server['tools']).map(jsonObject)
  const refused = arrayOf(server['refused']).map(jsonObject)
  const nameOf = (tool: JsonObject) => printable(textOf(tool['tool']) ?? '')
  const width = Math.max(0, ...[...tools, ...refused].map((tool) => nameOf(tool).length))
  const facts = [
    say('scope') === '' ? '' : `scope ${say('scope')}`,
    say('until') === '' ? '' : `until ${say('until')}`,
    say('authorization_server') === '' ? '' : `by ID-JAG of ${say('authorization_server')}`,
  ].filter((fact) => fact !== '')
  return [
    '',
    `${bold(say('server'))}  ${say('url')}`,
    ...facts.map((fact) => dim(`  ${fact}`)),
    ...tools.map((tool) => {
      const { constraints } = tool
      const only = constraints === undefined ? 'any arguments' : `only ${printable(JSON.stringify(constraints))}`
      return `  ${good('✓')} ${nameOf(tool).padEnd(width)}  ${only}`
    }),
    ...refused.map((tool) => {
      const layer = (textOf(tool['layer']) ?? '').replaceAll('_', ' ')
      return `  ${bad('✗')} ${nameOf(tool).padEnd(width)}  ${layer}: ${printable(textOf(tool['says']) ?? '')}`
    }),
  ]
}
