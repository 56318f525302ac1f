/**
 * What a session is opened for, as TypeScript sees it: resources, their tools, and what each argument may be. The types are as
 * closed as the vocabulary on the wire (RFC 9396 details): what cannot be granted should not compile.
 */
import { DETAILS_TYPE } from '../../protocol/oauth.ts'

type Scalar = string | number | boolean
type Never<K extends string> = { readonly [name in K]?: never }

/** One argument: of one kind. `{}`: any value, and it may be left out; with anything in it, it must be given. */
export type ArgumentRule =
  | ({ readonly const: Scalar } & Never<'enum' | 'minimum' | 'maximum' | 'maxLength' | 'prefix' | 'maxItems'>)
  | ({ readonly enum: readonly Scalar[] } & Never<
      'const' | 'minimum' | 'maximum' | 'maxLength' | 'prefix' | 'maxItems'
    >)
  | ({ readonly minimum?: number; readonly maximum?: number } & Never<
      'const' | 'enum' | 'maxLength' | 'prefix' | 'maxItems'
    >)
  | ({ readonly maxLength?: number; readonly prefix?: string } & Never<
      'const' | 'enum' | 'minimum' | 'maximum' | 'maxItems'
    >)
  | ({ readonly maxItems?: number } & Never<'const' | 'enum' | 'minimum' | 'maximum' | 'maxLength' | 'prefix'>)

/** `{}`: whatever the tool takes. Otherwise these arguments and no others; `'*': {}` lets others in again. */
export type ToolArguments = Readonly<Record<string, ArgumentRule>>

/** By resource URL, by tool name. */
export type Tools = Readonly<Record<string, Readonly<Record<string, ToolArguments>>>>

export type ResourceOf<T extends Tools> = keyof T & string

/** Every tool of every resource. */
export type ToolOf<T extends Tools> = { [R in keyof T]: keyof T[R] & string }[keyof T]

/** What of `T` has these names. */
export type Part<T extends Tools, N extends string> = {
  readonly [R in keyof T as Extract<keyof T[R], N> extends never ? never : R]: {
    readonly [K in Extract<keyof T[R], N>]: T[R][K]
  }
}

type ArgumentsAt<T extends Tools, N extends string> = {
  [R in keyof T]: N extends keyof T[R] ? T[R][N] : never
}[keyof T]

/** Arguments that may be tightened: of a tool whose set is closed, those in it. */
export type Tightened<A> = A extends ToolArguments
  ? [keyof A] extends [never]
    ? ToolArguments
    : '*' extends keyof A
      ? ToolArguments
      : { readonly [name in keyof A]?: ArgumentRule }
  : never

export type Constraints<T extends Tools, N extends string> = {
  readonly [name in N]?: Tightened<ArgumentsAt<T, name>>
}

/** What set the work off. Without one the broker writes `user_request`, or `schedule` where no user stands behind it. */
export interface Origin {
  readonly type: 'user_request' | 'agent_plan' | 'schedule'
  /** An identifier without spaces, for whoever reads the records: `msg-7731`. */
  readonly ref?: string
}

export interface Intent<T extends Tools> {
  /** One sentence for the people who will read it. */
  readonly purpose: string
  readonly tools: T
  readonly origin?: Origin
  /** Seconds. */
  readonly expiresIn?: number
  /** Hops that delegates may pass on; the default is one from here. */
  readonly maxDepth?: number
  /** By resource: only where its server asks before each call. */
  readonly limits?: { readonly [R in keyof T]?: { readonly maxCalls: number } }
}

/** RFC 9396. */
export function intentDetails<T extends Tools>(intent: Intent<T>): string {
  const { purpose, origin, expiresIn, maxDepth, limits, tools } = intent
  const declared = {
    type: DETAILS_TYPE.intent,
    purpose,
    ...(origin === undefined ? {} : { origin }),
    ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
    ...(maxDepth === undefined ? {} : { max_depth: maxDepth }),
  }
  const resources = Object.entries(tools).map(([location, named]) => {
    const limited = limits?.[location]
    return {
      type: DETAILS_TYPE.tools,
      locations: [location],
      tools: named,
      ...(limited === undefined ? {} : { limits: limited }),
    }
  })
  return JSON.stringify([declared, ...resources])
}

/** In words, for an error that says what would have been within it. */
export function declaredAt(tools: ReadonlyMap<string, { readonly tools: ReadonlyMap<string, unknown> }>, url: string) {
  const names = [...(tools.get(url)?.tools.keys() ?? [])]
  return names.length === 0 ? 'no tool there' : `the tools ${names.join(', ')}`
}
