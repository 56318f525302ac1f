/** `errand serve`: starts the broker, says so in one line, and stops without dropping a request. */
import { resolve } from 'node:path'
import pino from 'pino'
import type { Broker } from '../app.ts'
import type { Config } from '../config/config.ts'
import { configPath, loadConfig, loadRegistryFiles } from '../config/load-config.ts'
import type { Listening } from '../http/listener.ts'
import type { Registry } from '../model/registry.ts'
import { StoreUnavailable } from '../store/ports.ts'
import type { Args } from './args.ts'
import type { Command } from './command.ts'
import { DEVELOPMENT_DIRECTORY, ensureDevelopmentFiles, movedTo, rememberPort } from './development.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { plural } from './kill-drawing.ts'
import { CONFIG_OPTION } from './options.ts'
import { codeOf } from './private-file.ts'
import { welcome } from './welcome.ts'

export const serveCommand: Command = {
  name: 'serve',
  summary: 'run the broker',
  arguments: [],
  options: {
    development: {
      help: `run with files made on the spot in ${DEVELOPMENT_DIRECTORY}/: a demo agent, a demo MCP server`,
    },
    port: { value: 'N', help: 'listen on this port instead of the configured one' },
    ...CONFIG_OPTION,
  },
  examples: ['errand serve --config errand.yaml', 'errand serve --development'],
  notes: [
    'SIGTERM and SIGINT let requests in flight finish; a second one does not wait. SIGHUP reads the key directory again at once, and not only every two seconds.',
  ],
  run: async (args, io) => {
    const { config, configFile, isOurs } = await readConfig(args)
    const registry = loadRegistryFiles(config)
    const { broker, listening } = await start(config, registry)
    if (isOurs) await rememberPort(configFile, config.listen.port)
    const log = pino({ level: config.log.level, base: { service: 'errand' } })
    const stopped = untilStopped(broker, listening, log)
    const isWatched = io.outIsTerminal || args.flag('development')
    if (isWatched) io.out(`${readyLine(config, registry, listening.port)}\n`)
    else log.info(readyFacts(config, registry, listening.port), 'ready')
    if (args.flag('development')) io.out(welcome({ config, configFile, registry }, io.styles))
    await stopped
    if (isWatched) io.out('stopped\n')
    else log.info('stopped')
    return 0
  },
}

interface Read {
  readonly config: Config
  readonly configFile: string
  /** Whether the file is one that `--development` has made. */
  readonly isOurs: boolean
}

/** @throws ConfigurationError naming every problem, UsageError */
async function readConfig(args: Args): Promise<Read> {
  const port = args.whole('port', 1, 65_535)
  const given = args.text('config')
  const development = args.flag('development')
  const isOurs = development && given === undefined
  const configFile = isOurs
    ? await ensureDevelopmentFiles(resolve(DEVELOPMENT_DIRECTORY), port)
    : resolve(configPath(given))
  const config = loadConfig(configFile)
  if (development && !config.development) {
    const found = `${configFile} is of environment ${config.settings.environment}`
    throw new UsageError(`${found}: --development is for the environment development`)
  }
  if (port === undefined) return { config, configFile, isOurs }
  const moved = isOurs ? movedTo(config, port) : { ...config, listen: { ...config.listen, port } }
  return { config: moved, configFile, isOurs }
}

async function start(config: Config, registry: Registry): Promise<{ broker: Broker; listening: Listening }> {
  // Loaded here: no other command needs the server, and each would wait for it.
  const [{ createBroker }, { listen }] = await Promise.all([import('../app.ts'), import('../http/listener.ts')])
  let broker: Broker
  try {
    broker = await createBroker(config, { registry })
  } catch (fault) {
    if (fault instanceof StoreUnavailable) throw new CommandFailure(`the store cannot be used: ${fault.message}`, fault)
    throw fault
  }
  try {
    return { broker, listening: await listen(broker, config.listen) }
  } catch (fault) {
    await broker.close()
    const { host, port } = config.listen
    const why =
      codeOf(fault) === 'EADDRINUSE'
        ? 'is in use: choose another with --port'
        : `cannot be listened on (${codeOf(fault)})`
    throw new CommandFailure(`port ${port} of ${host} ${why}`, fault)
  }
}

function readyFacts({ settings, store, listen }: Config, registry: Registry, port: number) {
  return {
    issuer: settings.issuer,
    environment: settings.environment,
    listening: `${listen.host}:${port}`,
    pid: process.pid,
    store: store.kind,
    agents: registry.agents.length,
    resources: registry.resources.length,
    grants: registry.grants.length,
    policy: registry.version,
  }
}

function readyLine(config: Config, registry: Registry, port: number): string {
  const { issuer, environment, listening, pid, store, agents, resources, grants, policy } = readyFacts(
    config,
    registry,
    port,
  )
  const counts = `${plural(agents, 'agent')}, ${plural(resources, 'resource')}, ${plural(grants, 'grant')}`
  return `Errand is ready: ${issuer} (${environment}) on ${listening}, pid ${pid}, ${store} store, ${counts}, policy ${policy.slice(0, 12)}`
}

type Log = Pick<pino.Logger, 'info' | 'error'>

function untilStopped(broker: Broker, listening: Listening, log: Log): Promise<void> {
  process.on('SIGHUP', () => {
    broker.reloadKeys().then(
      () => log.info('keys read again'),
      (fault: unknown) =>
        log.error({ problem: fault instanceof Error ? fault.message : 'fault' }, 'keys not read; the old ones stay'),
    )
  })
  return new Promise((resolveStopped, reject) => {
    let isStopping = false
    const stop = () => {
      if (isStopping) process.exit(1)
      isStopping = true
      listening.stop().then(resolveStopped, reject)
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}
