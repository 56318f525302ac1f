/** The architecture page in a terminal of a hundred columns, and as Markdown for a document. */

import type { JsonObject } from '../json-fields.ts'
import { type Styles, wrapped } from '../terminal.ts'
import { architecturePage, type Entry } from './architecture-page.ts'

const LABEL_COLUMNS = 17

export function architectureText(answer: JsonObject, styles: Styles): string {
  const { title, facts, sections } = architecturePage(answer)
  const drawn = sections.flatMap((section) => [
    '',
    styles.bold(section.title),
    ...(section.entries.length === 0 ? ['  none'] : section.entries.flatMap((entry) => drawEntry(entry, styles))),
  ])
  return `${[styles.bold(title), ...wrapped(facts, '').map(styles.dim), ...drawn].join('\n')}\n`
}

function drawEntry({ name, says, rows }: Entry, styles: Styles): readonly string[] {
  const rest = says === '' ? '' : `  ${styles.dim(says)}`
  return [
    `  ${styles.accent(name)}${rest}`,
    ...rows.flatMap(([label, text]) => {
      const [first = '', ...more] = wrapped(text, ' '.repeat(4 + LABEL_COLUMNS))
      return [`    ${styles.dim(label.padEnd(LABEL_COLUMNS))}${first.slice(4 + LABEL_COLUMNS)}`, ...more]
    }),
  ]
}

export function architectureMarkdown(answer: JsonObject): string {
  const { title, facts, sections } = architecturePage(answer)
  const drawn = sections.flatMap((section) => [
    '',
    `## ${markdown(section.title)}`,
    ...section.entries.flatMap(({ name, says, rows }) => [
      '',
      `**${markdown(name)}**${says === '' ? '' : ` ${markdown(says)}`}`,
      '',
      ...rows.map(([label, text]) => `- ${label}: ${markdown(text)}`),
    ]),
  ])
  return `${[`# ${markdown(title)}`, '', markdown(facts), ...drawn].join('\n')}\n`
}

/** Names are anybody's text: none may become a link, an image or markup of the page it is pasted into. */
function markdown(text: string): string {
  return text.replace(/[\\`*_[\]<>|#!]/g, '\\$&')
}
