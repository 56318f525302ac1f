/** The README's blocks, as somebody would paste them: found by the heading of their part, never by what stands in another. */
import { readFileSync } from 'node:fs'

export interface ReadmeBlock {
  readonly language: string
  readonly text: string
}

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

/** The text below a heading (`### SPIFFE`), to the next of its rank or above; a `#` in a block is no heading. */
function part(heading: string): string {
  const rank = heading.indexOf(' ')
  const lines = README.split('\n')
  const start = lines.indexOf(heading)
  if (start < 0) throw new Error(`the README has no part ${heading}`)
  let isFenced = false
  const end = lines.findIndex((line, at) => {
    if (line.startsWith('```')) isFenced = !isFenced
    return at > start && !isFenced && line.startsWith('#') && line.indexOf(' ') <= rank
  })
  return lines.slice(start + 1, end < 0 ? undefined : end).join('\n')
}

/** Of a part, in order. */
export function readmeBlocks(heading: string): readonly ReadmeBlock[] {
  return [...part(heading).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
    language,
    text,
  }))
}

/** The first of this language in a part. */
export function readmeBlock(heading: string, language: string): string {
  const found = readmeBlocks(heading).find((block) => block.language === language)
  if (found === undefined) throw new Error(`the README has no ${language} block in its part ${heading}`)
  return found.text
}

/** Of the parts of a part. */
export function readmeHeadings(heading: string): readonly string[] {
  const below = `#${heading.slice(0, heading.indexOf(' '))} `
  return part(heading)
    .replaceAll(/^```[\s\S]*?^```$/gm, '')
    .split('\n')
    .filter((line) => line.startsWith(below))
}
