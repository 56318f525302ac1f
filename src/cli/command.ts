/** A command of `errand`: data for help and for parsing, and the function that runs it. */
import type { Args } from './args.ts'
import type { Io } from './io.ts'
import type { CommandLineSpec } from './options.ts'

/** What its own file says. */
export interface CommandBody extends CommandLineSpec {
  /** Whole command lines. */
  readonly examples: readonly string[]
  /** A few sentences for its own help. */
  readonly notes?: readonly string[]
  /** @returns the exit code: 0 done, 1 refused or failed, 2 not understood */
  run(args: Args, io: Io): Promise<number>
}

/** What help lists, and finds it by. */
interface CommandTitle {
  /** One word or two: `serve`, `agent add`. */
  readonly name: string
  readonly summary: string
}

export interface Command extends CommandTitle, CommandBody {}

/** A command whose code has not been read. */
export interface CommandEntry extends CommandTitle {
  load(): Promise<Command>
}

export interface Group {
  readonly title: string
  readonly commands: readonly CommandEntry[]
}

export function command(name: string, summary: string, body: () => Promise<CommandBody>): CommandEntry {
  return { name, summary, load: async () => ({ name, summary, ...(await body()) }) }
}
