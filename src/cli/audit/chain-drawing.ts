/** A chain for people: the person above, each agent below who passed it on, with what it could do and what it tried. */
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { printable, type Styles, wrapped } from '../terminal.ts'
import { endWords } from './story-drawing.ts'
import { gapWords } from './trail-pages.ts'

/** Of one hop. The JSON has them all. */
const TRIED_SHOWN_MAX = 40

export function drawChain(chain: JsonObject, styles: Styles): string {
  const { bold, dim, bad } = styles
  const hops = arrayOf(chain['hops']).map(jsonObject)
  const gaps = arrayOf(chain['gaps']).map((gap) => gapWords(jsonObject(gap)))
  const cut = chain['cut'] === true ? ['older records of its session are left out: there are too many'] : []
  return [
    bold(textOf(chain['human']) ?? 'nobody'),
    dim(
      `set off by ${textOf(chain['origin'])}; ${[chain['session'], chain['txn']].flatMap((id) => textOf(id) ?? []).join(', ')}`,
    ),
    ...hops.flatMap((hop, depth) => drawHop(hop, '   '.repeat(depth), styles)),
    '',
    ...wrapped(textOf(chain['authorised']) ?? '', ''),
    ...[...cut, ...gaps].map((line) => bad(line)),
    '',
  ].join('\n')
}

function drawHop(hop: JsonObject, indent: string, { bold, dim, good, bad }: Styles): readonly string[] {
  const below = `${indent}     `
  const version = textOf(hop['version'])
  const tried = arrayOf(hop['tried']).map(jsonObject)
  const purpose = textOf(hop['purpose'])
  return [
    `${indent}└─ ${bold(`agent ${textOf(hop['agent'])}`)}${version === undefined ? '' : dim(` version ${version}`)}${dim(`  since ${textOf(hop['at'])}, from ${textOf(hop['from'])}`)}`,
    ...(purpose === undefined ? [] : wrapped(`for “${purpose}”`, below)),
    ...couldLines(jsonObject(hop['could'])).flatMap((line) => wrapped(line, `${below}could  `, below.length + 7)),
    ...tried.slice(0, TRIED_SHOWN_MAX).flatMap((one) => {
      const isGranted = one['outcome'] === 'granted'
      const ended = textOf(one['ended'])
      const more = [textOf(one['reason']), ended && endWords(ended)].filter((part) => part !== undefined)
      const said = `${textOf(one['says'])}${more.length === 0 ? '' : ` (${more.join('; ')})`}`
      const [first = '', ...rest] = wrapped(
        `${said}  ${textOf(one['decision'])}`,
        `${below}tried  ? `,
        below.length + 9,
      )
      return [first.replace('?', (isGranted ? good : bad)(isGranted ? '✓' : '✗')), ...rest]
    }),
    ...(tried.length > TRIED_SHOWN_MAX ? [`${below}and ${tried.length - TRIED_SHOWN_MAX} more: --json has them`] : []),
    ...(tried.length === 0 ? [`${below}tried  nothing`] : []),
  ]
}

/** "mcp:tools:read", and of each server its tools with the arguments that were left free or bound. */
function couldLines(could: JsonObject): readonly string[] {
  const details = arrayOf(could['authorization_details']).map(jsonObject)
  const places = details.flatMap((detail) => {
    const tools = Object.entries(jsonObject(detail['tools'])).map(([tool, bounds]) => {
      const names = Object.entries(jsonObject(bounds)).map(([name, bound]) => `${name} ${JSON.stringify(bound)}`)
      return printable(names.length === 0 ? tool : `${tool} where ${names.join(', ')}`)
    })
    const where = arrayOf(detail['locations']).flatMap((place) => textOf(place) ?? [])
    return tools.length === 0 ? [] : [`${tools.join('; ')} at ${where.join(', ')}`]
  })
  const scope = textOf(could['scope'])
  const lost = could['authorization_details'] === null ? ['what exactly is no longer kept'] : []
  return [...(scope === undefined ? [] : [`scope ${scope}`]), ...places, ...lost]
}
