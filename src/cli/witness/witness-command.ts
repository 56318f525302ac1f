/** `errand witness`: co-signs logs' checkpoints, in a process and on a machine that the brokers' operators do not share. */
import { mkdirSync } from 'node:fs'
import { type Listening, listen } from '../../http/listener.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { messageOf } from '../../kernel/fault.ts'
import { type DirectoryLock, lockDirectory } from '../../store/embedded-lock.ts'
import { StoreUnavailable } from '../../store/ports.ts'
import { NoteError } from '../../tlog/note-keys.ts'
import { Witness } from '../../witness/witness.ts'
import { witnessHandler } from '../../witness/witness-http.ts'
import { openWitnessKey } from '../../witness/witness-key.ts'
import { WitnessState } from '../../witness/witness-state.ts'
import type { Args } from '../args.ts'
import { trustedKeys } from '../audit/verify-receipt.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import { readText } from '../named-document.ts'

const HOST_DEFAULT = '127.0.0.1'
const TOUCH_MS = 2_000

export const witnessCommand: CommandBody = {
  arguments: ['DIRECTORY'],
  options: {
    log: {
      value: 'VKEY',
      help: 'a log to co-sign, by its vkey; may be repeated, also for one log with several keys',
      repeats: true,
    },
    name: { value: 'NAME', help: 'of a new witness, such as witness.example/w1: it keeps it for ever' },
    host: { value: 'HOST', help: `where it listens (default ${HOST_DEFAULT})` },
    port: { value: 'N', help: 'on which port; without it the witness’s vkey is printed, and that is all' },
    cert: { value: 'FILE', help: 'its certificate, PEM; without it plain http, for this machine or a proxy' },
    'cert-key': { value: 'FILE', help: 'the key of its certificate, PEM' },
  },
  examples: [
    'errand witness ./witness --name witness.example/w1',
    'errand witness ./witness --port 4480 --log errand.example/audit+1d2c3b4a+AZ…',
  ],
  notes: [
    'Run it where whoever runs the broker has no say: then nobody alone can take back what the audit says.',
    'Its directory holds its key and what it signed last. Never restore it from a backup: start a new witness instead.',
  ],
  run: async (args, io) => {
    const [directory = ''] = args.positionals
    const key = await openWitnessKey(directory, args.text('name')).catch(asUsage)
    const port = args.whole('port', 0, 65_535)
    if (port === undefined) {
      io.out(`${key.key.vkey}\n`)
      return 0
    }
    const logs = trustedKeys(args, 'log', 'log')
    if (logs.length === 0) throw new UsageError('--log is needed: whose checkpoints are co-signed')
    const lock = locked(directory)
    const touching = setInterval(() => lock.touch() || process.kill(process.pid, 'SIGKILL'), TOUCH_MS)
    const witness = new Witness({
      ...key,
      logs,
      state: new WitnessState(directory),
      now: () => epochSeconds(systemClock),
      onMisbehaviour: (origin, what) => io.err(`${origin}: ${what}\n`),
    })
    try {
      const listening = await startListening(witness, port, args, io)
      io.out(
        `Witness ${key.key.name} is ready on ${args.text('host') ?? HOST_DEFAULT}:${listening.port}, vkey ${key.key.vkey}\n`,
      )
      await stopped()
      await listening.stop()
      return 0
    } finally {
      clearInterval(touching)
      lock.release()
    }
  },
}

function asUsage(fault: unknown): never {
  throw fault instanceof NoteError ? new UsageError(fault.message) : fault
}

/** Two processes on one directory could sign two histories. */
function locked(directory: string): DirectoryLock {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return lockDirectory(directory)
  } catch (fault) {
    if (fault instanceof StoreUnavailable) throw new CommandFailure(`${directory} is in use by another witness`, fault)
    throw fault
  }
}

async function startListening(witness: Witness, port: number, args: Args, io: Io): Promise<Listening> {
  const fetch = witnessHandler(witness, (fault) => io.err(`nothing was signed: ${messageOf(fault)}\n`))
  const [cert, key] = [args.text('cert'), args.text('cert-key')]
  if ((cert === undefined) !== (key === undefined)) throw new UsageError('--cert and --cert-key go together')
  const tls =
    cert === undefined || key === undefined ? {} : { tls: { certificate: readText(cert), key: readText(key) } }
  const answering = {
    app: { fetch },
    countUnread: () => undefined,
    readiness: { stop: () => undefined },
    endStreams: () => undefined,
    close: async () => undefined,
  }
  return listen(answering, { host: args.text('host') ?? HOST_DEFAULT, port, ...tls })
}

function stopped(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
}
