/** A review for people: what needs attention first, and next to unused authority the manifest that would be enough. */
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { plural, printable, type Styles, wrapped } from '../terminal.ts'
import { yamlText } from '../yaml-text.ts'

export function drawReview(review: JsonObject, styles: Styles): string {
  const findings = arrayOf(review['findings']).map(jsonObject)
  const of = (severity: string) => findings.filter((finding) => finding['severity'] === severity)
  const attention = numberIn(review['attention'])
  return [
    ...heading(review, styles),
    ...section(styles.bad('Needs attention'), of('attention'), styles),
    ...section('Good to know', of('notice'), styles),
    ...(numberIn(review['left_out']) > 0 ? ['', `and ${numberIn(review['left_out'])} more findings`] : []),
    '',
    attention === 0
      ? styles.good('nothing needs attention')
      : styles.bad(`${plural(attention, 'finding')} to act upon`),
    '',
  ].join('\n')
}

function heading(review: JsonObject, styles: Styles): readonly string[] {
  const count = (name: string) => plural(numberIn(review[`${name}s`]), name)
  const counted = textOf(review['counted_since'])
  return [
    styles.bold(`Review of ${count('agent')}, ${count('server')}, ${count('user')}`),
    styles.dim(
      `unused: not for ${plural(numberIn(review['days']), 'day')}; ` +
        (counted === undefined ? 'nothing has been counted yet' : `counted since ${counted}`),
    ),
  ]
}

function section(title: string, findings: readonly JsonObject[], styles: Styles): readonly string[] {
  if (findings.length === 0) return []
  const objects = Map.groupBy(findings, (finding) => textOf(finding['object']) ?? '')
  const lines = [...objects].flatMap(([object, about]) => {
    const owner = textOf(about[0]?.['owner'])
    const name = styles.bold(object.replace(':', ' '))
    return [
      `  ${name}${owner === undefined ? '' : styles.dim(`  owner ${owner}`)}`,
      ...about.flatMap((finding) => [
        ...wrapped(textOf(finding['says']) ?? '', '    '),
        ...unusedLines(finding),
        ...manifestLines(finding, object, styles),
      ]),
    ]
  })
  return ['', title, ...lines]
}

function unusedLines(finding: JsonObject): readonly string[] {
  return arrayOf(finding['unused'])
    .map(jsonObject)
    .flatMap((there) => {
      const tools = arrayOf(there['tools'])
        .map(jsonObject)
        .map(({ tool, last_used: at }) => {
          const day = textOf(at)?.slice(0, 10)
          return day === undefined ? textOf(tool) : `${textOf(tool)} (last ${day})`
        })
      const scopes = arrayOf(there['scopes']).map(textOf)
      const whole = scopes.length === 0 ? '' : `; nothing of ${scopes.join(', ')}`
      return wrapped(`${tools.join(', ')}${whole}`, `      ${textOf(there['server'])}: `, 8)
    })
}

function manifestLines(finding: JsonObject, object: string, styles: Styles): readonly string[] {
  const narrowed = finding['narrowed_manifest']
  if (!Array.isArray(narrowed)) return []
  const entries = narrowed.map((entry) => `          - ${yamlInline(entry)}`)
  return [
    styles.dim('      what it uses, for its registry entry:'),
    `        - client_id: ${yamlInline(object.replace(/^agent:/, ''))}`,
    ...(entries.length === 0
      ? ['          manifest: []']
      : ['          manifest:', ...entries.map((line) => `  ${line}`)]),
  ]
}

/** A JSON value on one line of YAML. */
function yamlInline(value: unknown): string {
  if (typeof value === 'string') return printable(yamlText(value))
  if (Array.isArray(value)) return `[${value.map(yamlInline).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([name, member]) => `${yamlText(name)}: ${yamlInline(member)}`)
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`
}
