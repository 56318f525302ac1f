/**
 * What is taken out of a text before it is captured, by what it looks like: tokens, keys and other credentials. Sealed or not,
 * the audit must not be where they can all be found together.
 *
 * Does not find: a secret that looks like nothing in particular. Arguments that hold one are named in the tool's manifest.
 */

/** Each is linear in the text: whoever sends it must not choose how long this takes. */
const CREDENTIALS: readonly (readonly [name: string, shape: RegExp])[] = [
  [
    'private_key',
    /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?/g,
  ],
  // RFC 7515 §7.1: the base64url of `{"` begins every header there is; of an encrypted token there are five parts.
  ['jwt', /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){1,3}/g],
  ['errand_key', /\berrand_(?:ak|secret)_[A-Za-z0-9_-]{8,}/g],
  // RFC 6750 §2.1, RFC 9449 §7.1 and RFC 7617 §2, as in a header that was copied whole; and not every "basic understanding".
  [
    'authorization',
    /\b(?:Bearer|DPoP|Basic) {1,4}(?:[A-Za-z0-9._~+/-]{16,}|(?=[A-Za-z._~+/-]{0,16}[0-9])[A-Za-z0-9._~+/-]{8,})=*/gi,
  ],
  ['private_jwk', /\\?"d\\?"\s{0,8}:\s{0,8}\\?"[A-Za-z0-9_-]{20,}\\?"/g],
  ['vendor_key', /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g],
  ['vendor_key', /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|sk-|sk_live_|rk_live_|AIza)[A-Za-z0-9_-]{16,}/g],
]

/** Whether any was taken out shows in the text itself: `[redacted: jwt]`. */
export function withoutCredentials(text: string): string {
  return CREDENTIALS.reduce((left, [name, shape]) => left.replace(shape, `[redacted: ${name}]`), text)
}

type Json = Readonly<Record<string, unknown>>

/**
 * Arguments without what the tool's manifest names as secret (JSON Pointer, RFC 6901; `*` stands for every member or element)
 * and without credentials in any of their texts. A secret object goes as a whole.
 */
export function withoutSecrets(given: Json, pointers: readonly string[]): Json {
  const paths = pointers.map((pointer) => pointer.split('/').slice(1).map(unescaped))
  return redacted(given, paths) as Json
}

function redacted(value: unknown, paths: readonly (readonly string[])[]): unknown {
  if (paths.some((path) => path.length === 0)) return '[redacted]'
  if (typeof value === 'string') return withoutCredentials(value)
  if (Array.isArray(value)) return value.map((member, index) => redacted(member, below(paths, String(index))))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => [
    withoutCredentials(name),
    redacted(member, below(paths, name)),
  ])
  return Object.fromEntries(members)
}

function below(paths: readonly (readonly string[])[], name: string): readonly (readonly string[])[] {
  return paths.flatMap(([first, ...rest]) => (first === name || first === '*' ? [rest] : []))
}

const unescaped = (segment: string) => segment.replaceAll('~1', '/').replaceAll('~0', '~')
