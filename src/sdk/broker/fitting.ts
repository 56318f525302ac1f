/** A text that has to fit into one request to the broker, which takes no more than its bound and keeps less. */

/** As JSON, in bytes: what the broker keeps of a response or a trace fits, whatever characters it is of. */
const JSON_BYTES_MAX = 48 * 1024
/** In a form, beside a token and an intent. */
const FORM_CHARS_MAX = 32 * 1024
const CUT = ' […]'

/** As it is, or cut, which shows at its end: told in part, it is told. */
export function fitting(text: string): string {
  return cut(text, (one) => Buffer.byteLength(JSON.stringify(one)), JSON_BYTES_MAX)
}

export function fittingForm(text: string): string {
  return cut(text.toWellFormed(), (one) => encodeURIComponent(one).length, FORM_CHARS_MAX)
}

function cut(text: string, sizeOf: (text: string) => number, most: number): string {
  // Written either way no text gets shorter.
  if (text.length <= most && sizeOf(text) <= most) return text
  let left = text.slice(0, most).toWellFormed()
  while (sizeOf(left + CUT) > most) left = left.slice(0, Math.floor(left.length * 0.75)).toWellFormed()
  return left + CUT
}
