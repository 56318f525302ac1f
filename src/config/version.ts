/** Which Errand this is: the version in its package, beside the sources as beside what was built of them. */
import { readFileSync } from 'node:fs'

export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}
