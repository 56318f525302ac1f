/**
 * How a rule names a claim: by its name, or, where it lies inside another, by a JSON Pointer (RFC 6901), which begins with a
 * slash. Claim names hold dots and slashes themselves (`kubernetes.io`, `https://aws.amazon.com/…`), so neither could part them.
 */

/** The names that lead to the claim, outermost first; `undefined`: malformed. */
export function parseClaimPath(text: string): readonly string[] | undefined {
  if (!text.startsWith('/')) return text === '' ? undefined : [text]
  const steps = text.slice(1).split('/')
  if (steps.includes('') || steps.some((step) => /~(?![01])/.test(step))) return undefined
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** As a rule spells it. */
export function claimName(path: readonly string[]): string {
  const [sole] = path
  if (path.length === 1 && sole !== undefined && !sole.startsWith('/')) return sole
  return path.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
