/** What a publication of the policy changes, and what it takes away, as people read it. */
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { plural, printable } from '../terminal.ts'

/** @param lists names in `added`, `changed` and `removed`, and lines in `widened` */
export function changeLines(lists: JsonObject): readonly string[] {
  const names = (kind: string, sign: string) =>
    arrayOf(lists[kind]).map((name) => `  ${sign} ${printable(textOf(name) ?? '')}`)
  const widened = names('widened', '^')
  const more = widened.length === 0 ? [] : ['gives more than before:', ...widened]
  return [...names('added', '+'), ...names('changed', '~'), ...names('removed', '-'), ...more]
}

/** @param cutOff the answer's `cut_off` */
export function cutOffLines(cutOff: unknown): readonly string[] {
  const cut = arrayOf(cutOff).map(jsonObject)
  return [
    `${plural(cut.length, 'cut-off')}${cut.length === 0 ? ': nothing is taken away' : ''}`,
    ...cut.map(({ dimension, id, why }) =>
      printable(`  ${textOf(dimension)?.replace('_', ' ')} ${textOf(id)}  (${textOf(why)})`),
    ),
  ]
}

/** Enough of a version to tell it from others. */
export function shortVersion(version: unknown): string {
  return (textOf(version) ?? '').slice(0, 12)
}
