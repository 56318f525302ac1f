/**
 * A stranger's text, shown so that all of it can be seen: what steers a terminal, turns the direction of writing or has no shape
 * of its own stands as an escape. Text for models hides instructions in just these.
 */

/** Controls, formats (bidi, tags), separators, surrogates, private use, and all that fonts leave out (variation selectors, fillers). */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu
/** White space that prose has, and that hides nothing. */
const PLAIN = new Set(['\n', '\r', '\t'])

/** On one line, of at most so many characters: `reads\u{a}the page…`. */
export function shown(text: string, charsMax = Number.POSITIVE_INFINITY): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax)}…` : text
  return cut.replace(UNSEEN, (char) => `\\u{${codePoint(char)}}`)
}

/** Drawn as one picture: its joiners and variation selectors hide nothing. */
const EMOJI =
  /\p{Extended_Pictographic}\u{fe0f}?(?:\u{200d}\p{Extended_Pictographic}\u{fe0f}?)*|[0-9#*]\u{fe0f}\u{20e3}/gu

/** The code points in a JSON value's texts, names of members included, that nobody sees, each once: `202e`. */
export function hiddenIn(value: unknown): readonly string[] {
  return [...new Set(textsIn(value).flatMap(hidden))]
}

function hidden(text: string): readonly string[] {
  const found = text.replace(EMOJI, '').match(UNSEEN) ?? []
  return found.filter((char) => !PLAIN.has(char)).map(codePoint)
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap(textsIn)
  return Object.entries(value).flatMap(([name, member]) => [name, ...textsIn(member)])
}

/** The same for JSON: every such character as `\uXXXX`, so that what is printed hides nothing either. */
export function shownJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replace(UNSEEN, (char) =>
    char === '\n'
      ? char
      : [...Array(char.length).keys()].map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  )
}

function codePoint(char: string): string {
  return (char.codePointAt(0) ?? 0).toString(16)
}
