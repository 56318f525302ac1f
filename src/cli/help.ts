/** Help: of the whole program, and of one command, each with an example that works. */
import { HELP_OPTION } from './args.ts'
import type { Command, CommandEntry, Group } from './command.ts'
import type { OptionSpec } from './options.ts'
import type { Styles } from './terminal.ts'

const WIDTH = 96

export function drawHelp(groups: readonly Group[], { bold, dim }: Styles): string {
  const width = Math.max(...groups.flatMap(({ commands }) => commands.map(({ name }) => name.length)))
  const sections = groups.flatMap(({ title, commands }) => [
    '',
    bold(title),
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${dim(summary)}`),
  ])
  return [
    'errand: a token broker for AI agents: intent-bound tokens for minutes, chains of delegation by name, revoked as one tree.',
    '',
    `${bold('Usage')}  errand <command> [options]`,
    ...sections,
    '',
    `${bold('Example')}`,
    '  errand init --directory broker && errand serve --config broker/errand.yaml',
    '',
    dim('errand <command> --help says more. In a checkout, write `npm run -s errand --` for `errand`.'),
    '',
  ].join('\n')
}

/** What stands below a first word such as `agent`. */
export function drawGroupHelp(word: string, commands: readonly CommandEntry[], { bold, dim }: Styles): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    bold(`Commands of errand ${word}`),
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${dim(summary)}`),
    '',
    dim(`errand ${commands[0]?.name ?? word} --help says more.`),
    '',
  ].join('\n')
}

export function drawCommandHelp(command: Command, { bold, dim }: Styles): string {
  const { name, summary, examples, notes = [] } = command
  const options = Object.entries({ ...command.options, help: HELP_OPTION })
  const words = options.map(([option, spec]) => [optionWords(option, spec), spec.help] as const)
  const width = Math.max(...words.map(([left]) => left.length))
  return [
    `${bold(`errand ${name}`)}: ${summary}`,
    '',
    `${bold('Usage')}  errand ${[name, ...command.arguments].join(' ')}${options.length > 1 ? ' [options]' : ''}`,
    ...(notes.length === 0 ? [] : ['', ...notes.flatMap((note) => wrap(note, WIDTH))]),
    '',
    bold('Options'),
    ...words.flatMap(([left, help]) =>
      wrap(help, Math.max(40, WIDTH - width - 4)).map(
        (line, index) => `  ${(index === 0 ? left : '').padEnd(width)}  ${dim(line)}`,
      ),
    ),
    '',
    bold(examples.length === 1 ? 'Example' : 'Examples'),
    ...examples.map((example) => `  ${example}`),
    '',
  ].join('\n')
}

function optionWords(name: string, { value }: OptionSpec): string {
  return `--${name}${value === undefined ? '' : ` ${value}`}`
}

function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}
