/** From a command line to an exit code: finds the command, parses its arguments, and says every failure in plain words. */
import { programVersion } from '../config/version.ts'
import { nearestName } from '../kernel/nearest-name.ts'
import { Rejection } from '../kernel/rejection.ts'
import { looksLikeToken, parseCommandArgs } from './args.ts'
import type { Command, CommandEntry } from './command.ts'
import { COMMANDS, GROUPS } from './commands.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { drawCommandHelp, drawGroupHelp, drawHelp } from './help.ts'
import type { Io } from './io.ts'
import { printable } from './terminal.ts'

/** @returns the exit code: 0 done, 1 refused or failed, 2 not understood */
export async function runCommandLine(argv: readonly string[], io: Io): Promise<number> {
  let found: Found | undefined
  try {
    const [first] = argv
    if (first === undefined || isHelp(first) || first === 'help') return await help(argv.slice(1), io)
    if (first === '--version') return version(io)
    const group = argv.slice(1).every(isHelp) && argv.length > 1 ? commandsOf(first) : []
    if (group.length > 0) return await groupHelp(first, group, io)
    found = await findCommand(argv)
    const { command, rest } = found
    if (rest.some(isHelp)) {
      io.out(drawCommandHelp(command, io.styles))
      return 0
    }
    return await command.run(parseCommandArgs(command, rest), io)
  } catch (fault) {
    return await tellFault(fault, found, argv, io)
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
async function findCommand(argv: readonly string[]): Promise<Found> {
  const fitting = COMMANDS.filter(({ name }) => name.split(' ').every((word, index) => argv[index] === word))
  const entry = fitting.toSorted((a, b) => b.name.length - a.name.length)[0]
  if (entry === undefined) throw unknownCommand(argv)
  const command = await entry.load()
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

async function help(words: readonly string[], io: Io): Promise<number> {
  const [first, second] = words
  const group = first !== undefined && second === undefined ? commandsOf(first) : []
  if (first === undefined) io.out(drawHelp(GROUPS, io.styles))
  else if (group.length > 0) return await groupHelp(first, group, io)
  else io.out(drawCommandHelp((await findCommand(words)).command, io.styles))
  return 0
}

/** The commands below a first word such as `keys`, without the command of that name itself. */
function commandsOf(word: string): readonly CommandEntry[] {
  return COMMANDS.filter(({ name }) => name.startsWith(`${word} `))
}

async function groupHelp(word: string, commands: readonly CommandEntry[], io: Io): Promise<number> {
  const own = COMMANDS.find(({ name }) => name === word)
  if (own !== undefined) io.out(`${drawCommandHelp(await own.load(), io.styles)}\n`)
  io.out(drawGroupHelp(word, commands, io.styles))
  return 0
}

function version(io: Io): number {
  io.out(`errand ${programVersion()}\n`)
  return 0
}

async function tellFault(fault: unknown, found: Found | undefined, argv: readonly string[], io: Io): Promise<number> {
  if (fault instanceof UsageError) {
    const more = found === undefined ? 'errand help' : `errand ${found.command.name} --help`
    io.err(`errand: ${printable(fault.message)}\n  ${more} says more\n`)
    return 2
  }
  if (fault instanceof CommandFailure || fault instanceof Rejection) {
    io.err(`errand: ${fault.message.split('\n').map(printable).join('\n  ')}\n`)
    return 1
  }
  const { tellFaultOfParts } = await import('./part-faults.ts')
  const told = tellFaultOfParts(fault, argv, io)
  if (told !== undefined) return told
  // Not foreseen: whoever mends it needs to know where it came from.
  io.err(`errand: an unforeseen fault\n${fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)}\n`)
  return 1
}
