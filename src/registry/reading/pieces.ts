/** A document in pieces, each of which is handed from thread to thread in a millisecond or two: what is long in it are lists. */
import type { Sliced } from '../../kernel/slices.ts'

/**
 * Where a list is, and what comes next of it; first of all the document itself, whose long lists are empty. `places`: of each
 * entry, which of those known it is, or -1 for the next of `entries`.
 */
export type Piece = readonly [path: readonly (string | number)[], entries: readonly unknown[], places?: Int32Array]

/** Which of those known an entry is, or -1. */
export type PlaceOf = (entry: unknown) => number

/** Entries of one piece, and of a list that is not taken apart. */
const PIECE_ENTRIES = 100
/** Of lists that are taken apart: `files[0].document.grants` of an order is four levels deep. */
const LEVELS = 4

export function* piecesOf(document: unknown, placeOf: PlaceOf = () => -1): Generator<Piece> {
  const lists: Piece[] = []
  yield [[], [withoutLists(document, [], lists)]]
  for (const [path, entries] of lists) {
    for (let from = 0; from < entries.length; from += PIECE_ENTRIES) {
      const some = entries.slice(from, from + PIECE_ENTRIES)
      const places = Int32Array.from(some, placeOf)
      yield [path, some.filter((_, index) => places[index] === -1), places]
    }
  }
}

/** @param lists takes what is left out */
function withoutLists(value: unknown, path: Piece[0], lists: Piece[]): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value) && value.length > PIECE_ENTRIES) {
    lists.push([path, value])
    return []
  }
  if (path.length === LEVELS) return value
  if (Array.isArray(value)) return value.map((member, index) => withoutLists(member, [...path, index], lists))
  const members = Object.entries(value)
  return Object.fromEntries(members.map(([name, member]) => [name, withoutLists(member, [...path, name], lists)]))
}

/** What `piecesOf` took apart. @param listed takes the entries of all long lists, in their order */
export function* assembled(
  pieces: Iterable<Piece>,
  known: readonly unknown[] = [],
  listed: unknown[] = [],
): Sliced<unknown> {
  let document: unknown
  for (const [path, entries, places] of pieces) {
    if (places === undefined) {
      ;[document] = entries
      continue
    }
    const list = listAt(document, path)
    let next = 0
    for (const place of places) {
      const entry = place === -1 ? entries[next++] : known[place]
      list.push(entry)
      listed.push(entry)
    }
    yield
  }
  return document
}

function listAt(document: unknown, path: Piece[0]): unknown[] {
  return path.reduce((at, name) => (at as Record<string | number, unknown>)[name], document) as unknown[]
}
