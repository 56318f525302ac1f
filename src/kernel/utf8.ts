/** A UTF-16 code unit becomes three bytes at most; the four of a character beyond the basic plane come of two. */
const UNIT_BYTES_MAX = 3

/** A bound of `Buffer.byteLength(text)`: for memory that is given back or filled up afterwards, without going through the text. */
export function utf8BytesMax(text: string): number {
  return UNIT_BYTES_MAX * text.length
}
