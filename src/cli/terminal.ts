/** How this program looks in a terminal: a few styles (colour only where a person looks, never with NO_COLOR) and trees. */

import { styleText } from 'node:util'
import { timeText } from '../kernel/time-text.ts'

export interface Styles {
  bold(text: string): string
  dim(text: string): string
  good(text: string): string
  bad(text: string): string
  accent(text: string): string
}

const unchanged = (text: string): string => text

/** For pipes, files and tests. */
export const plainStyles: Styles = {
  bold: unchanged,
  dim: unchanged,
  good: unchanged,
  bad: unchanged,
  accent: unchanged,
}

type Format = Parameters<typeof styleText>[0]

/** `styleText` asks the stream whether it is a terminal, and honours NO_COLOR, NODE_DISABLE_COLORS and FORCE_COLOR. */
export function stylesFor(stream: NodeJS.WriteStream): Styles {
  const style = (format: Format) => (text: string) => styleText(format, text, { stream, validateStream: true })
  return { bold: style('bold'), dim: style('dim'), good: style('green'), bad: style('red'), accent: style('cyan') }
}

export interface Branch {
  readonly label: string
  readonly children?: readonly Branch[]
}

/** One line per branch, children below their parent. */
export function drawTree(branches: readonly Branch[]): string[] {
  return branches.flatMap((branch, index) => {
    const isLast = index === branches.length - 1
    const below = drawTree(branch.children ?? []).map((line) => `${isLast ? '   ' : '│  '}${line}`)
    return [`${isLast ? '└─ ' : '├─ '}${branch.label}`, ...below]
  })
}

/** A chain: each link hangs below the one before it. */
export function drawChain(labels: readonly string[]): string[] {
  return labels.map((label, depth) => (depth === 0 ? label : `${'   '.repeat(depth - 1)}└─ ${label}`))
}

/** Text from outside (a claim, a server's message) on one line, unable to move the cursor or recolour the screen. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}

const COLUMNS = 100

/** On lines that fit a terminal, broken at blanks: `first` begins the first, blanks of `indent` the others. Unstyled text only. */
export function wrapped(text: string, first: string, indent = first.length): readonly string[] {
  const lines: string[] = []
  let line = first
  let isEmpty = true
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > COLUMNS) {
      lines.push(line)
      line = ' '.repeat(indent)
      isEmpty = true
    }
    line += isEmpty ? word : ` ${word}`
    isEmpty = false
  }
  return [...lines, line]
}

/** What a Date can hold (ECMA-262 §21.4.1.1). */
const EPOCH_SECONDS_MAX = 8_640_000_000_000

/** "4 min 12 s", "59 s", "1 h 0 min": the two largest units. */
export function durationWords(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** Of a claim or an answer, which may hold anything. */
export function time(epochSeconds: unknown): string {
  const isTime = typeof epochSeconds === 'number' && Math.abs(epochSeconds) <= EPOCH_SECONDS_MAX
  return isTime ? timeText(epochSeconds) : 'at an unknown time'
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
