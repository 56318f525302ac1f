/** What is taken out of the program for each test that `deploy/threats.md` names. */
import { readFileSync } from 'node:fs'

export interface Mutation {
  /** The file that holds the control, and what of it is replaced by what. */
  readonly source: string
  readonly is: string
  readonly becomes: string
  /** The file with the test's title, as the page names both. */
  readonly test: string
  readonly title: string
  /** What runs it, where that is another file: of a suite that several stores pass. */
  readonly run?: string
}

export const MUTATIONS: readonly Mutation[] = JSON.parse(readFileSync(new URL('threats.json', import.meta.url), 'utf8'))

export function mutationAt(index: number): Mutation {
  const found = MUTATIONS[index]
  if (found === undefined) throw new Error(`there is no mutation ${index}`)
  return found
}

/** Of the titles that a test has in full, whatever stands for `%s` and `$name` in them. */
export function patternOf(title: string): string {
  const plain = title.split(/%[a-z]|\$[A-Za-z.]+/).map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
  return plain.join('.*')
}
