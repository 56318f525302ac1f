/** What a broker, a document or a key file was refused for, in plain words. Read after a fault only: it knows half the program. */
import { KeyFileError } from '../keys/key-file.ts'
import { ConfigurationError } from '../registry/strict-document.ts'
import { BrokerRefusal } from './broker-client.ts'
import type { Io } from './io.ts'
import { writeJson } from './output.ts'
import { drawRefusal } from './refusal-drawing.ts'
import { printable } from './terminal.ts'

/** @returns the exit code; `undefined`: none of these */
export function tellFaultOfParts(fault: unknown, argv: readonly string[], io: Io): number | undefined {
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
  if (fault instanceof KeyFileError) {
    io.err(`errand: ${printable(fault.message)}\n`)
    return 2
  }
  return undefined
}
