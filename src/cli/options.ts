/** What a command takes from its command line, as data. */

export interface OptionSpec {
  /** What help calls the value, such as FILE; `undefined`: a switch without one. */
  readonly value?: string
  readonly help: string
  readonly oneOf?: readonly string[]
  /** May be given several times. */
  readonly repeats?: true
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

/** What `args.ts` parses by. */
export interface CommandLineSpec {
  /** Positional arguments as help writes them: `FILE`, or `[FILE]` where it may be left out. */
  readonly arguments: readonly string[]
  readonly options: OptionSpecs
}

export const CONFIG_OPTION: OptionSpecs = {
  config: { value: 'FILE', help: 'the configuration (default: $ERRAND_CONFIG, else ./errand.yaml)' },
}
export const JSON_OPTION: OptionSpecs = { json: { help: 'print JSON, for scripts' } }
