/**
 * A tool's constraints: parsed, written, evaluated, compared and met (DESIGN §3).
 *
 * The world is closed: one entry, and only listed arguments may be given; an argument with a constraint must be given.
 * `narrowsTool` is exact on parsed constraints: it says yes if and only if every call the child allows, the parent allows.
 */
import { ARGUMENTS_PER_TOOL_MAX, NAME_CHARS_MAX } from '../kernel/limits.ts'
import { admits, isFree, isNarrower, meetArgument, parseArgumentConstraint } from './argument-constraint.ts'
import { ANY_OTHER_ARGUMENT, type ArgumentConstraint, type ToolConstraints } from './authority.ts'
import { describeConstraint } from './describe-constraint.ts'
import { isPlainObject, malformed, parseObject, shown } from './strict-object.ts'

/** No call is refused for its arguments. */
export function isUnconstrained(constraints: ToolConstraints): boolean {
  return oneForm(constraints).size === 0
}

/** An open set says nothing by listing an argument as free, and an open set that lists nothing is the unconstrained tool. */
function oneForm(constraints: ToolConstraints): ToolConstraints {
  if (!constraints.has(ANY_OTHER_ARGUMENT)) return constraints
  const said = [...constraints].filter(([name, constraint]) => name === ANY_OTHER_ARGUMENT || !isFree(constraint))
  return said.length === 1 ? new Map() : new Map(said)
}

/**
 * @throws Rejection `details_unknown` for a constraint outside the vocabulary, `details_malformed` for everything else that
 *   is not a map from argument names to constraints.
 */
export function parseToolConstraints(value: unknown, path: string): ToolConstraints {
  const entries = Object.entries(parseObject(value, path))
  if (entries.length > ARGUMENTS_PER_TOOL_MAX) throw malformed(path, `exceeds ${ARGUMENTS_PER_TOOL_MAX} arguments`)
  const constraints = new Map<string, ArgumentConstraint>()
  for (const [name, member] of entries) {
    if (name === '' || name.length > NAME_CHARS_MAX || !name.isWellFormed()) {
      throw malformed(path, `has an argument name that is empty, ill-formed or over ${NAME_CHARS_MAX} characters`)
    }
    const constraint = parseArgumentConstraint(member, `${path}.${shown(name)}`)
    if (name === ANY_OTHER_ARGUMENT && !isFree(constraint)) throw malformed(`${path}.'*'`, 'must be {}')
    constraints.set(name, constraint)
  }
  return oneForm(constraints)
}

/** `fromEntries` defines members, so that an argument called `__proto__` is written like any other. */
export function encodeToolConstraints(constraints: ToolConstraints): Readonly<Record<string, ArgumentConstraint>> {
  return Object.fromEntries(constraints)
}

/** Why this call is refused, naming the argument and what is needed but never the value given; `undefined`: allowed. */
export function argumentsRefusal(
  constraints: ToolConstraints,
  args: Readonly<Record<string, unknown>>,
): string | undefined {
  if (!isPlainObject(args)) return 'arguments must be an object'
  if (constraints.size === 0) return undefined
  const open = constraints.has(ANY_OTHER_ARGUMENT)
  for (const name of Reflect.ownKeys(args)) {
    if (typeof name === 'symbol') return 'arguments must be named by text'
    if (!open && !constraints.has(name)) return `argument ${shown(name)} is not among those allowed`
  }
  for (const [name, constraint] of constraints) {
    if (isFree(constraint)) continue
    if (!Object.hasOwn(args, name))
      return `argument ${shown(name)} is missing: it must be ${describeConstraint(constraint)}`
    if (!admits(constraint, args[name])) return `argument ${shown(name)} must be ${describeConstraint(constraint)}`
  }
  return undefined
}

/** Every argument that is not allowed, is missing or is not as it must be: those of the call first. */
export function failingArguments(
  constraints: ToolConstraints,
  args: Readonly<Record<string, unknown>>,
): readonly string[] {
  if (constraints.size === 0) return []
  const extra = constraints.has(ANY_OTHER_ARGUMENT) ? [] : Object.keys(args).filter((name) => !constraints.has(name))
  const wrong = [...constraints]
    .filter(
      ([name, constraint]) => !isFree(constraint) && !(Object.hasOwn(args, name) && admits(constraint, args[name])),
    )
    .map(([name]) => name)
  return [...extra, ...wrong]
}

/** `undefined` if every call `child` allows is allowed by `parent`; else what was dropped or widened. */
export function narrowsTool(childForm: ToolConstraints, parentForm: ToolConstraints): string | undefined {
  const child = oneForm(childForm)
  const parent = oneForm(parentForm)
  if (parent.size === 0) return undefined
  const parentOpen = parent.has(ANY_OTHER_ARGUMENT)
  if (!parentOpen && (child.size === 0 || child.has(ANY_OTHER_ARGUMENT))) return 'admits arguments that are not listed'
  for (const name of child.keys()) {
    if (!parentOpen && !parent.has(name)) return `admits the argument ${shown(name)}`
  }
  for (const [name, bound] of parent) {
    if (isFree(bound)) continue
    const constraint = child.get(name)
    if (constraint === undefined) return `drops the constraint on ${shown(name)}: ${describeConstraint(bound)}`
    if (!isNarrower(constraint, bound)) return `admits more for ${shown(name)} than ${describeConstraint(bound)}`
  }
  return undefined
}

/**
 * What both allow. `undefined` where that is no call at all, or none but the call without arguments, which has no spelling:
 * the empty map would mean the opposite.
 */
export function meetTool(aForm: ToolConstraints, bForm: ToolConstraints): ToolConstraints | undefined {
  const a = oneForm(aForm)
  const b = oneForm(bForm)
  if (a.size === 0) return b
  if (b.size === 0) return a
  const met = new Map<string, ArgumentConstraint>()
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const both = meetNamed(a, b, name)
    if (both === 'impossible') return undefined
    if (both !== undefined) met.set(name, both)
  }
  return met.size === 0 || met.size > ARGUMENTS_PER_TOOL_MAX ? undefined : met
}

/** `undefined`: the argument may not be given; `'impossible'`: it must be given, and no value will do. */
function meetNamed(
  a: ToolConstraints,
  b: ToolConstraints,
  name: string,
): ArgumentConstraint | 'impossible' | undefined {
  const inA = a.get(name)
  const inB = b.get(name)
  if (inA !== undefined && inB !== undefined) return meetArgument(inA, inB) ?? 'impossible'
  const only = inA ?? inB ?? {}
  const other = inA === undefined ? a : b
  if (other.has(ANY_OTHER_ARGUMENT)) return only
  return isFree(only) ? undefined : 'impossible'
}
