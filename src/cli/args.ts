/**
 * A command's arguments, parsed strictly: an unknown, repeated, valueless or unwanted argument is refused with the nearest
 * name. Nothing that looks like a token is accepted: a command line is seen by everybody on the machine (`ps`) and kept in
 * the shell's history.
 */
import { parseArgs } from 'node:util'
import { nearestName } from '../kernel/nearest-name.ts'
import { UsageError } from './failures.ts'
import type { CommandLineSpec, OptionSpec } from './options.ts'

export class Args {
  readonly positionals: readonly string[]
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(positionals: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.positionals = positionals
    this.#values = values
  }

  flag(name: string): boolean {
    return this.#values.has(name)
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.[0]
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  /** @throws UsageError */
  require(name: string): string {
    const value = this.text(name)
    if (value === undefined) throw new UsageError(`--${name} is needed`)
    return value
  }

  /** A whole number between two bounds. @throws UsageError */
  whole(name: string, least: number, most: number): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN
    if (number >= least && number <= most) return number
    throw new UsageError(`--${name} must be a whole number from ${least} to ${most}`)
  }

  /** A number between two bounds, with up to three decimals. @throws UsageError */
  decimal(name: string, least: number, most: number): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const number = /^\d{1,15}(?:\.\d{1,3})?$/.test(value) ? Number(value) : Number.NaN
    if (number >= least && number <= most) return number
    throw new UsageError(`--${name} must be a number from ${least} to ${most}, such as 0.5`)
  }

  /** Items of a comma-separated value, trimmed. @throws UsageError for an empty item */
  list(name: string): readonly string[] {
    const items = this.all(name).flatMap((value) => value.split(',').map((item) => item.trim()))
    if (items.includes('')) throw new UsageError(`--${name} has an empty item: separate items by single commas`)
    return items
  }
}

export const HELP_OPTION: OptionSpec = { help: 'show this help' }

/** @throws UsageError */
export function parseCommandArgs(command: CommandLineSpec, argv: readonly string[]): Args {
  if (argv.some(looksLikeToken)) {
    throw new UsageError('a token does not belong on a command line: put it into a file, or pipe it in')
  }
  const specs: Readonly<Record<string, OptionSpec>> = { ...command.options, help: HELP_OPTION }
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { value }]) => [
      name,
      { type: value === undefined ? 'boolean' : 'string' } as const,
    ]),
  )
  const args = argv.map((argument) => (isDashedName(argument, specs) ? MARK + argument : argument))
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true, allowPositionals: true })
  const positionals: string[] = []
  const values = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(unmarked(token.value))
    if (token.kind !== 'option') continue
    const name = token.name === 'h' ? 'help' : token.name
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
    const value = unmarked(checkedValue({ ...token, name }, spec, specs))
    const before = values.get(name) ?? []
    if (before.length > 0 && specs[name]?.repeats !== true) throw new UsageError(`--${name} is given twice`)
    values.set(name, [...before, value])
  }
  checkPositionals(command, positionals)
  return new Args(positionals, values)
}

/** In no argument: what it stands before is no option, whatever it begins with. */
const MARK = '\0'
const unmarked = (argument: string): string => (argument.startsWith(MARK) ? argument.slice(MARK.length) : argument)

/**
 * No option but `-h` is of one letter, and none are grouped: the name of a key or a nonce, one in 64 of which begins with a dash,
 * is no option. An option that lacks its second dash is not taken for one.
 */
function isDashedName(argument: string, specs: Readonly<Record<string, OptionSpec>>): boolean {
  return /^-[\w][\w-]+$/.test(argument) && !Object.hasOwn(specs, argument.slice(1))
}

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function checkedValue(
  { name, rawName, value, inlineValue }: OptionToken,
  spec: OptionSpec | undefined,
  specs: Readonly<Record<string, OptionSpec>>,
): string {
  if (spec === undefined) {
    const nearest = nearestName(name, Object.keys(specs))
    throw new UsageError(`unknown option ${rawName}${nearest === undefined ? '' : `; did you mean --${nearest}?`}`)
  }
  if (spec.value === undefined) {
    if (value !== undefined) throw new UsageError(`--${name} takes no value`)
    return ''
  }
  if (value === undefined || value === '') throw new UsageError(`--${name} needs a value: --${name} ${spec.value}`)
  // `--config --json`: what follows is an option, not the value that was forgotten.
  if (inlineValue !== true && /^-./.test(value)) {
    throw new UsageError(
      `--${name} needs a value: --${name} ${spec.value}; one that looks like an option goes into --${name}=${spec.value}`,
    )
  }
  if (spec.oneOf !== undefined && !spec.oneOf.includes(value)) {
    throw new UsageError(`--${name} must be one of ${spec.oneOf.join(', ')}`)
  }
  return value
}

function checkPositionals(command: CommandLineSpec, positionals: readonly string[]): void {
  const required = command.arguments.filter((name) => !name.startsWith('['))
  const missing = required[positionals.length]
  if (missing !== undefined) throw new UsageError(`${missing} is needed`)
  if (positionals.length > command.arguments.length) {
    throw new UsageError(`unexpected argument ${positionals[command.arguments.length]}`)
  }
}

/** Three base64url parts, the first of which is a JSON object; or a secret or API key that this program has made. */
export function looksLikeToken(text: string): boolean {
  return /(^|=)ey[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.|errand_(?:ak|secret)_[A-Za-z0-9_-]{16}/.test(text)
}
