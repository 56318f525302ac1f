/** Every command of `errand`, its code read. */
import { COMMANDS as ENTRIES } from '../../src/cli/commands.ts'

export const COMMANDS = await Promise.all(ENTRIES.map((entry) => entry.load()))
