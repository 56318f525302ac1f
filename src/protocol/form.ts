/**
 * application/x-www-form-urlencoded bodies, read once and strictly: a repeated parameter is refused on the way, so that no
 * two readers of one request can see different values (RFC 6749 §3.2), an empty value counts as absent, and nothing is
 * ever taken from the query string: a name that stands there as well is a repeated one.
 */
import { FORM_PARAMETERS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'

/** RFC 8693 §2.1, RFC 8707 §2: the only parameters that may be repeated. */
const REPEATABLE: ReadonlySet<string> = new Set(['resource', 'audience'])

export class Form {
  readonly #values: ReadonlyMap<string, readonly string[]>

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  /**
   * @param queryNames parameter names in the request's URL, whose values are not read
   * @throws Rejection `body_malformed`, `parameter_duplicated`
   */
  static parse(body: string, queryNames: Iterable<string> = []): Form {
    const values = new Map<string, string[]>()
    const pairs = body === '' ? [] : body.split('&')
    if (pairs.length > FORM_PARAMETERS_MAX) {
      throw new Rejection('body_malformed', `at most ${FORM_PARAMETERS_MAX} parameters are accepted`)
    }
    for (const pair of pairs) {
      const equals = pair.indexOf('=')
      const name = decodePart(equals < 0 ? pair : pair.slice(0, equals))
      const value = equals < 0 ? '' : decodePart(pair.slice(equals + 1))
      const seen = values.get(name)
      if (seen === undefined) values.set(name, [value])
      else if (REPEATABLE.has(name)) seen.push(value)
      else throw duplicated('a parameter is repeated that may be given once (RFC 6749 section 3.2)')
    }
    for (const name of queryNames) {
      if (values.has(name)) throw duplicated('a parameter of the body stands in the query as well: send it once, there')
    }
    return new Form(values)
  }

  /** The one value, or `undefined` where it is absent or empty. */
  get(name: string): string | undefined {
    const value = this.#values.get(name)?.[0]
    return value === undefined || value === '' ? undefined : value
  }

  /** Every non-empty value of a repeatable parameter. */
  all(name: string): readonly string[] {
    return (this.#values.get(name) ?? []).filter((value) => value !== '')
  }

  /** @throws Rejection `parameter_missing` */
  require(name: string): string {
    const value = this.get(name)
    if (value === undefined) throw new Rejection('parameter_missing', `${name} is required`)
    return value
  }
}

function duplicated(description: string): Rejection {
  return new Rejection('parameter_duplicated', description)
}

function decodePart(text: string): string {
  const decoded = decodeFormText(text)
  if (decoded !== undefined) return decoded
  throw new Rejection('body_malformed', 'the body is not valid application/x-www-form-urlencoded')
}

/** `undefined`: not well-formed. */
export function decodeFormText(text: string): string | undefined {
  // Most of a body are tokens, which have nothing to decode.
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
