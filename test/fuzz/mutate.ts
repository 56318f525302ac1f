/**
 * Inputs near valid ones: bytes flipped, parts cut, doubled, exchanged and grown, and where a text is JSON, its members
 * dropped, renamed and replaced. Every choice comes from one seed, so that an input can be made again from its number.
 */
import type { Chance } from '../support/chance.ts'

/** Each has broken a parser somewhere. */
const TRAPS = [
  '',
  '\0',
  '\r\n',
  '\n',
  '\t',
  ' ',
  '"',
  "'",
  '\\',
  '/',
  '//',
  '..',
  '%',
  '%00',
  '%2e%2e',
  '%ff',
  '+',
  '&',
  '&&',
  '=',
  ';',
  ',',
  '.',
  '...',
  '*',
  ':',
  '@',
  '#',
  '?',
  '[',
  ']',
  '{',
  '}',
  '[]',
  '{}',
  '-',
  '--',
  '---\n',
  '0',
  '-0',
  '1e400',
  '-1e999',
  '1e-400',
  '0x10',
  '9007199254740993',
  '18446744073709551616',
  '99999999999999999999999999999999999999',
  'NaN',
  'Infinity',
  'null',
  'true',
  'undefined',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'then',
  'toJSON',
  '"__proto__":{"polluted":1},',
  '"\\u005f_proto__":1,',
  '\ud800',
  '\udfff',
  '\u0000',
  '\u00a0',
  '\u0130',
  'ß',
  '\u017f',
  '\u200b',
  '\u202e',
  '\ufeff',
  '\ufffd',
  '\u212a',
  'ﬀ',
  'e\u0301',
  '\u{1f468}\u200d\u{1f469}',
  '\u001b[2J',
  '<script>',
  `${'$'}{x}`,
  '{{x}}',
  '!!js/function',
  '!!binary',
  '&a [*a]',
  '<<: *a',
  '|-',
  '? ',
  '::ffff:127.0.0.1',
  '127.1',
  '[::1%lo]',
  '1'.repeat(300),
  'a'.repeat(5_000),
  '('.repeat(2_000),
  '['.repeat(200),
  '{"a":'.repeat(200),
  ' '.repeat(5_000),
  'a,'.repeat(2_000),
  '&a=1'.repeat(500),
  '.'.repeat(1_000),
] as const

const BYTES_MAX = 200_000

type Mutator = (text: string, chance: Chance, corpus: readonly string[]) => string

const range = (text: string, chance: Chance): [number, number] => {
  const from = chance.below(text.length + 1)
  return [from, from + chance.below(Math.min(text.length - from, 64) + 1)]
}

const MUTATORS: readonly Mutator[] = [
  // one character becomes another
  (text, chance) => {
    const at = chance.below(text.length)
    const code = text.charCodeAt(at) || 0
    return text.slice(0, at) + String.fromCharCode(code ^ (1 << chance.below(8))) + text.slice(at + 1)
  },
  (text, chance) => {
    const at = chance.below(text.length)
    return text.slice(0, at) + String.fromCharCode(chance.below(256)) + text.slice(at + 1)
  },
  // a part goes, is doubled, moves, is many times repeated
  (text, chance) => text.slice(0, chance.below(text.length + 1)),
  (text, chance) => text.slice(chance.below(text.length + 1)),
  (text, chance) => {
    const [from, to] = range(text, chance)
    return text.slice(0, from) + text.slice(to)
  },
  (text, chance) => {
    const [from, to] = range(text, chance)
    return text.slice(0, to) + text.slice(from)
  },
  (text, chance) => {
    const [from, to] = range(text, chance)
    const at = chance.below(text.length + 1)
    return text.slice(0, at) + text.slice(from, to) + text.slice(at)
  },
  (text, chance) => {
    const [from, to] = range(text, chance)
    return text.slice(0, from) + text.slice(from, to).repeat(1 + chance.below(200)) + text.slice(to)
  },
  // a trap is put in, or in the place of a part
  (text, chance) => {
    const at = chance.below(text.length + 1)
    return text.slice(0, at) + chance.pick(TRAPS) + text.slice(at)
  },
  (text, chance) => {
    const [from, to] = range(text, chance)
    return text.slice(0, from) + chance.pick(TRAPS) + text.slice(to)
  },
  // a word or a number becomes a trap
  (text, chance) => {
    const words = [...text.matchAll(/[A-Za-z_]+|\d+/g)]
    if (words.length === 0) return chance.pick(TRAPS)
    const word = chance.pick(words)
    return text.slice(0, word.index) + chance.pick(TRAPS) + text.slice(word.index + word[0].length)
  },
  // the beginning of one and the end of another
  (text, chance, corpus) => {
    const other = chance.pick(corpus)
    return text.slice(0, chance.below(text.length + 1)) + other.slice(chance.below(other.length + 1))
  },
  // lines and members exchanged
  (text, chance) => {
    const separator = chance.pick(['\n', '&', ',', '.', ' ', ';'])
    const parts = text.split(separator)
    const [a, b] = [chance.below(parts.length), chance.below(parts.length)]
    const [first, second] = [parts[a] ?? '', parts[b] ?? '']
    parts[a] = second
    parts[b] = first
    return parts.join(separator)
  },
  (text, chance) => {
    const separator = chance.pick(['\n', '&', ',', '.', ' ', ';'])
    const parts = text.split(separator)
    parts.splice(chance.below(parts.length + 1), 0, chance.pick(parts))
    return parts.join(separator)
  },
  // case
  (text, chance) => {
    const [from, to] = range(text, chance)
    const part = text.slice(from, to)
    return text.slice(0, from) + (chance.below(2) === 0 ? part.toUpperCase() : part.toLowerCase()) + text.slice(to)
  },
  (text, chance) => mutateJsonText(text, chance),
  (text, chance) => mutateJsonText(text, chance),
  (text, chance) => mutateInner(text, chance),
]

/** One to six changes of one of the corpus. */
export function mutate(corpus: readonly string[], chance: Chance): string {
  let text = chance.pick(corpus)
  for (let changes = 1 + chance.below(6); changes > 0; changes -= 1) {
    text = chance.pick(MUTATORS)(text, chance, corpus).slice(0, BYTES_MAX)
  }
  return text
}

/** A JSON text stays one, and means something else. */
function mutateJsonText(text: string, chance: Chance): string {
  try {
    return JSON.stringify(mutateValue(JSON.parse(text), chance)) ?? text
  } catch {
    return text
  }
}

/** A base64url part of a token is taken out, changed as JSON, and put back. */
function mutateInner(text: string, chance: Chance): string {
  const parts = text.split('.')
  if (parts.length !== 3) return text
  const at = chance.below(2)
  const inner = Buffer.from(parts[at] ?? '', 'base64url').toString()
  const changed =
    chance.below(2) === 0 ? mutateJsonText(inner, chance) : chance.pick(MUTATORS.slice(0, 12))(inner, chance, [inner])
  parts[at] = Buffer.from(changed).toString('base64url')
  return parts.join('.')
}

const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1.5,
  2 ** 31,
  2 ** 53,
  -(2 ** 53),
  1e308,
  5e-324,
  '',
  ' ',
  'x',
  [],
  {},
  [[]],
  [null],
  [{}],
  { toString: 1 },
  { constructor: { prototype: { polluted: 1 } } },
  { length: -1 },
  JSON.parse('{"then":1}'),
  Array.from({ length: 300 }, (_, index) => index),
  Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`m${index}`, index])),
]

/** A copy with one thing different, somewhere inside. */
export function mutateValue(value: unknown, chance: Chance): unknown {
  if (chance.below(5) === 0) return replacement(value, chance)
  if (Array.isArray(value)) {
    const copy: unknown[] = [...value]
    const at = chance.below(copy.length + 1)
    const action = chance.below(5)
    if (action === 0) copy.splice(at, 1)
    else if (action === 1) copy.splice(at, 0, copy.length === 0 ? replacement(value, chance) : chance.pick(copy))
    else if (action === 2) copy.splice(at, 0, chance.pick(VALUES))
    else if (copy.length > 0) copy[at % copy.length] = mutateValue(copy[at % copy.length], chance)
    return copy
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
    const at = chance.below(entries.length + 1)
    const action = chance.below(6)
    const [name, member] = entries[at % Math.max(1, entries.length)] ?? ['x', 1]
    if (action === 0) entries.splice(at, 1)
    else if (action === 1) entries.splice(at, 1, [chance.pick(TRAPS), member])
    else if (action === 2) entries.push([chance.pick(TRAPS), chance.pick(VALUES)])
    else entries.splice(at % Math.max(1, entries.length), 1, [name, mutateValue(member, chance)])
    return fromEntries(entries)
  }
  return replacement(value, chance)
}

function replacement(value: unknown, chance: Chance): unknown {
  const kind = chance.below(6)
  if (kind === 0) return chance.pick(TRAPS)
  if (kind === 1) return nested(value, 1 + chance.below(40), chance)
  if (kind === 2 && typeof value === 'string') return value + chance.pick(TRAPS)
  if (kind === 3 && typeof value === 'number') return value + chance.pick([1, -1, 0.5, 2 ** 53, 1e300])
  return chance.pick(VALUES)
}

function nested(value: unknown, depth: number, chance: Chance): unknown {
  let nest = value
  const name = chance.pick(['act', 'a', 'tools', '__proto__'])
  for (let level = 0; level < depth; level += 1) nest = chance.below(2) === 0 ? [nest] : fromEntries([[name, nest]])
  return nest
}

/** `__proto__` becomes a member of its own, as `JSON.parse` makes it. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
  }
  return object
}
