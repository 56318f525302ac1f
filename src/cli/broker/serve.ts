/** `errand serve`: starts the broker, says so in one line, and stops without dropping a request. */

import cluster from 'node:cluster'
import { resolve } from 'node:path'
import pino from 'pino'
import type { WorkerPlace } from '../../broker.ts'
import type { Config } from '../../config/config.ts'
import { configPath, filesRead, loadConfig, loadRegistryFiles, readRegistryFiles } from '../../config/load-config.ts'
import { assertNoStaticKeySet } from '../../config/static-keys.ts'
import { SHUTDOWN_MS_MAX, WORKERS_MAX } from '../../kernel/process-limits.ts'
import type { Registry } from '../../model/registry.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { CONFIG_OPTION } from '../options.ts'
import { shortVersion } from '../policy/publication-drawing.ts'
import { plural } from '../terminal.ts'
import { DEVELOPMENT_DIRECTORY, ensureDevelopmentFiles, movedTo, rememberPort } from './development.ts'
import { type Serving, startServing } from './serving.ts'
import { welcome } from './welcome.ts'
import { joinAsWorker } from './worker.ts'

export const serveCommand: CommandBody = {
  arguments: [],
  options: {
    development: {
      help: `run with files made on the spot in ${DEVELOPMENT_DIRECTORY}/: a demo agent, a demo MCP server`,
    },
    port: { value: 'N', help: 'listen on this port instead of the configured one' },
    workers: { value: 'N', help: 'share the work among so many processes (default: one process, no workers)' },
    ...CONFIG_OPTION,
  },
  examples: ['errand serve --config errand.yaml', 'errand serve --development'],
  notes: [
    'SIGTERM and SIGINT let requests in flight finish; a second one does not wait. SIGHUP publishes the policy files as they are now, and reads admins, the key directory and the certificate at once.',
  ],
  run: async (args, io) => {
    assertNoStaticKeySet()
    if (cluster.isWorker) return joinAsWorker((place) => serveAsWorker(args, place))
    const { config, configFile, isOurs } = await readConfig(args)
    const registry = loadRegistryFiles(config)
    const log = pino({ level: config.log.level, base: { service: 'errand' } })
    const workers = args.whole('workers', 1, WORKERS_MAX) ?? 1
    const { port, stopped } =
      workers > 1
        ? await (await import('./workers.ts')).startWorkers({ config, workers, files: filesRead(), log })
        : running(await startServing(config, { documents: readRegistryFiles(config), configFile }, log))
    if (isOurs) await rememberPort(configFile, config.listen.port)
    const isWatched = io.outIsTerminal || args.flag('development')
    if (isWatched) io.out(`${readyLine(config, registry, { port, workers })}\n`)
    else log.info(readyFacts(config, registry, { port, workers }), 'ready')
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

/** Its configuration is its parent's: what has changed on disk since is for the next start of all of them. */
async function serveAsWorker(args: Args, place: WorkerPlace) {
  const { config, configFile } = await readConfig(args)
  const log = pino({ level: config.log.level, base: { service: 'errand', worker: place.id } })
  return running(await startServing(config, { documents: readRegistryFiles(config), configFile }, log, place))
}

const running = (serving: Serving) => ({ port: serving.port, stopped: untilStopped(serving) })

interface Running {
  readonly port: number
  readonly workers: number
}

function readyFacts({ settings, store, listen }: Config, registry: Registry, { port, workers }: Running) {
  return {
    issuer: settings.issuer,
    environment: settings.environment,
    listening: `${listen.host}:${port}`,
    pid: process.pid,
    ...(workers > 1 ? { workers } : {}),
    store: store.kind,
    agents: registry.agents.length,
    resources: registry.resources.length,
    grants: registry.grants.length,
    policy: registry.version,
  }
}

function readyLine(config: Config, registry: Registry, running: Running): string {
  const { issuer, environment, listening, pid, store, agents, resources, grants, policy } = readyFacts(
    config,
    registry,
    running,
  )
  const counts = `${plural(agents, 'agent')}, ${plural(resources, 'resource')}, ${plural(grants, 'grant')}`
  return `Errand is ready: ${issuer} (${environment}) on ${listening}, pid ${pid}${running.workers > 1 ? `, ${running.workers} workers` : ''}, ${store} store, ${counts}, policy ${shortVersion(policy)}`
}

function untilStopped(serving: Serving): Promise<void> {
  process.on('SIGHUP', () => void serving.reload())
  return new Promise((resolveStopped, reject) => {
    let isStopping = false
    // Not `exit`, which waits for threads: of a disk, a store, a key directory that hangs, or of a write that waits for this one.
    const kill = () => process.kill(process.pid, 'SIGKILL')
    const stop = () => {
      // A worker is told by its parent, and by its supervisor, too; whoever is in a hurry tells the parent.
      if (isStopping && cluster.isWorker) return
      if (isStopping) kill()
      isStopping = true
      setTimeout(kill, SHUTDOWN_MS_MAX).unref()
      serving.stop().then(resolveStopped, reject)
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', cluster.isWorker ? () => undefined : stop)
  })
}
