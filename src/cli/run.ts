/** From a command line to an exit code: finds the command, parses its arguments, and says every failure in plain words. */
import { programVersion } from '../config/version.ts'
import { Rejection } from '../kernel/rejection.ts'
import { KeyFileError } from '../keys/key-file.ts'
import { ConfigurationError, nearestName } from '../registry/strict-document.ts'
import { looksLikeToken, parseCommandArgs } from './args.ts'
import { BrokerRefusal } from './broker-client.ts'
import type { Command } from './command.ts'
import { COMMANDS, GROUPS } from './commands.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { drawCommandHelp, drawGroupHelp, drawHelp } from './help.ts'
import type { Io } from './io.ts'
import { writeJson } from './output.ts'
import { drawRefusal } from './refusal-drawing.ts'
import { printable } from './terminal.ts'

/** @returns the exit code: 0 done, 1 refused or failed, 2 not understood */
export async function runCommandLine(argv: readonly string[], io: Io): Promise<number> {
  let found: Found | undefined
  try {
    const [first] = argv
    if (first === undefined || isHelp(first) || first === 'help') return help(argv.slice(1), io)
    if (first === '--version') return version(io)
    const group = argv.slice(1).every(isHelp) && argv.length > 1 ? commandsOf(first) : []
    if (group.length > 0) return groupHelp(first, group, io)
    found = findCommand(argv)
    const { command, rest } = found
    if (rest.some(isHelp)) {
      io.out(drawCommandHelp(command, io.styles))
      return 0
    }
    return await command.run(parseCommandArgs(command, rest), io)
  } catch (fault) {
    return tellFault(fault, found, argv, io)
  } finally {
    io.close()
  }
}

const isHelp = (word: string): boolean => word === '--help' || word === '-h'

interface Found {
  readonly command: Command
  readonly rest: readonly string[]
}

/** The longest name that fits: `keys rotate` before `keys`. @throws UsageError */
function findCommand(argv: readonly string[]): Found {
  const fitting = COMMANDS.filter(({ name }) => name.split(' ').every((word, index) => argv[index] === word))
  const command = fitting.toSorted((a, b) => b.name.length - a.name.length)[0]
  if (command === undefined) throw unknownCommand(argv)
  const rest = argv.slice(command.name.split(' ').length)
  const [next] = rest
  // `keys rotat`: a word too many where nothing but a command's second word could stand.
  const isMisspelt = next !== undefined && !next.startsWith('-') && command.arguments.length === 0
  if (isMisspelt && COMMANDS.some(({ name }) => name.startsWith(`${command.name} `))) throw unknownCommand(argv)
  return { command, rest }
}

function unknownCommand(argv: readonly string[]): UsageError {
  const [first = '', second] = argv
  if (looksLikeToken(first))
    return new UsageError('a token does not belong on a command line: pipe it to errand inspect')
  const below = commandsOf(first).map(({ name }) => name)
  if (below.length > 0 && second === undefined) return new UsageError(`say which: ${below.join(', ')}`)
  if (below.length > 0) {
    const near = nearestName(`${first} ${second}`, below) ?? below.join(' or ')
    return new UsageError(`unknown command; did you mean ${near}?`)
  }
  const names = COMMANDS.map(({ name }) => name)
  const nearest = nearestName(second === undefined ? first : `${first} ${second}`, names) ?? nearestName(first, names)
  return new UsageError(
    `unknown command ${printable(first)}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
  )
}

function help(words: readonly string[], io: Io): number {
  const [first, second] = words
  const group = first !== undefined && second === undefined ? commandsOf(first) : []
  if (first === undefined) io.out(drawHelp(GROUPS, io.styles))
  else if (group.length > 0) return groupHelp(first, group, io)
  else io.out(drawCommandHelp(findCommand(words).command, io.styles))
  return 0
}

/** The commands below a first word such as `keys`, without the command of that name itself. */
function commandsOf(word: string): readonly Command[] {
  return COMMANDS.filter(({ name }) => name.startsWith(`${word} `))
}

function groupHelp(word: string, commands: readonly Command[], io: Io): number {
  const own = COMMANDS.find(({ name }) => name === word)
  if (own !== undefined) io.out(`${drawCommandHelp(own, io.styles)}\n`)
  io.out(drawGroupHelp(word, commands, io.styles))
  return 0
}

function version(io: Io): number {
  io.out(`errand ${programVersion()}\n`)
  return 0
}

function tellFault(fault: unknown, found: Found | undefined, argv: readonly string[], io: Io): number {
  if (fault instanceof BrokerRefusal) {
    if (argv.includes('--json')) writeJson(fault.body, io)
    else io.err(drawRefusal(fault.body, io.errStyles))
    if (fault.advice !== undefined) io.err(`  ${fault.advice}\n`)
    return 1
  }
  if (fault instanceof ConfigurationError) {
    for (const problem of fault.problems) io.err(`errand: ${printable(problem)}\n`)
    return 2
  }
  if (fault instanceof UsageError) {
    const more = found === undefined ? 'errand help' : `errand ${found.command.name} --help`
    io.err(`errand: ${printable(fault.message)}\n  ${more} says more\n`)
    return 2
  }
  if (fault instanceof KeyFileError) {
    io.err(`errand: ${printable(fault.message)}\n`)
    return 2
  }
  if (fault instanceof CommandFailure || fault instanceof Rejection) {
    io.err(`errand: ${printable(fault.message)}\n`)
    return 1
  }
  // Not foreseen: whoever mends it needs to know where it came from.
  io.err(`errand: an unforeseen fault\n${fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)}\n`)
  return 1
}
