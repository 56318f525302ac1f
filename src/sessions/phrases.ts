/**
 * JSON for the store, a third shorter: what occurs in every record is written as one control character, which JSON never
 * contains as such. A store of a million sessions holds these texts a million times.
 *
 * The list is part of the store's schema: with another one, or another order, it has another version.
 */

/** The first that fits is taken: the longer stand before those they begin with. */
const PHRASE =
  /":\{"const":"|":\{"enum":\["|":\{"maximum":|":\{"minimum":|":\{"prefix":"|":\{"maxLength":|":\{"maxItems":|https:\/\/|http:\/\/|mcp:tools:|urn:|\/mcp",\["|"\],\{"|":\{\},"|":\{\}|":\{"|"\]\},"|"\},"|\}\},"|"\}\}\}|",\["|","|"\],\["|"\],|\[\["|",0|\["|"\]|,"|",|agent:/g
/** By their codes. */
const PHRASES = PHRASE.source.split('|').map((source) => source.replaceAll('\\', ''))
const CODES: ReadonlyMap<string, string> = new Map(
  PHRASES.map((phrase, place) => [phrase, String.fromCharCode(place + 1)]),
)

export function shortened(json: string): string {
  return json.replace(PHRASE, (phrase) => CODES.get(phrase) ?? phrase)
}

/** What was shortened. What was not written so is no JSON afterwards, or other JSON: its reader refuses it. */
export function atLength(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0001-\u001f]/g, (code) => PHRASES[code.charCodeAt(0) - 1] ?? code)
}
