#!/usr/bin/env node
/** The `errand` command. */
import { processIo } from './cli/io.ts'
import { runCommandLine } from './cli/run.ts'
import { sizeThreadPool } from './config/environment.ts'
import { keepRoom } from './kernel/young-objects.ts'

sizeThreadPool()
keepRoom()
process.exitCode = await runCommandLine(process.argv.slice(2), processIo())
