/** What a bench prints: tables for people while it runs, one JSON object as the last line for machines. */
import type { Goals } from './figures.ts'

export interface Output {
  /** For people; on stderr where the last line of stdout is for a machine. */
  say(text: string): void
  /** A word on what is going on, only where a person watches. */
  progress(text: string): void
}

export function createOutput(json: boolean): Output {
  const out = json ? process.stderr : process.stdout
  const watched = process.stderr.isTTY
  return {
    say: (text) => void out.write(`${watched ? '\r\u001b[K' : ''}${text}\n`),
    progress: (text) => {
      if (watched) process.stderr.write(`\r\u001b[K${text}`)
    },
  }
}

/** Rows of cells as lines; the first column to the left, numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length)))
  const cell = (value: string | number, column: number) =>
    column === 0 ? String(value).padEnd(widths[0] ?? 0) : String(value).padStart(widths[column] ?? 0)
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n')
}

export function goalTable(goals: Goals): string {
  const rows = Object.entries(goals).map(([name, { value, limit, met }]) => [
    name,
    value,
    limit,
    met ? 'met' : 'not met',
  ])
  return table([['goal', 'value', 'limit', ''], ...rows])
}
