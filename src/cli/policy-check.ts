/** `errand policy check`: grants that cannot do what they say, and agents that no grant meets; for a person, and for a build. */
import { configPath, loadConfig, loadRegistryFiles } from '../config/load-config.ts'
import { epochSeconds, systemClock } from '../kernel/clock.ts'
import { policyFindings } from '../policy/dead-grants.ts'
import { worksForUsers } from './check/policy-warnings.ts'
import type { CommandBody } from './command.ts'
import { CONFIG_OPTION, JSON_OPTION } from './options.ts'
import { writeJson } from './output.ts'
import { plural, printable, type Styles } from './terminal.ts'

/** One line of the answer. */
interface Found {
  readonly severity: 'error' | 'warning'
  readonly kind: string
  /** The grant's id, or the agent's. */
  readonly grant?: string
  readonly agent?: string
  readonly path?: string
  readonly says: string
  readonly by: readonly string[]
}

export const policyCheckCommand: CommandBody = {
  arguments: [],
  options: {
    strict: { help: 'fail on warnings too' },
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand policy check --config deploy/example/errand.yaml --strict'],
  notes: [
    'Exit code 1: an allow that never allows anything, or a deny that denies nothing because it names nobody, no tool, or no environment there is; with --strict, anything at all. 2: the configuration could not be read. 0 otherwise.',
    'Only what is certain is reported: a grant that is not named here may still do nothing.',
  ],
  run: async (args, io) => {
    const found = findAll(configPath(args.text('config')))
    const errors = found.filter(({ severity }) => severity === 'error').length
    const warnings = found.length - errors
    const ok = errors === 0 && (warnings === 0 || !args.flag('strict'))
    if (args.flag('json')) writeJson({ ok, errors, warnings, findings: found }, io)
    else io.out(draw(found, `${plural(errors, 'error')}, ${plural(warnings, 'warning')}`, ok, io.styles))
    return ok ? 0 : 1
  },
}

function findAll(path: string): readonly Found[] {
  const config = loadConfig(path)
  const registry = loadRegistryFiles(config)
  const { environment } = config.settings
  const { findings, unmetAgents } = policyFindings(registry, { environment, now: epochSeconds(systemClock) })
  const ofGrants = findings.map(
    ({ severity, kind, grant, path: at, says, by }): Found => ({ severity, kind, grant: grant.id, path: at, says, by }),
  )
  const ofAgents = unmetAgents.filter(worksForUsers).map(({ clientId }): Found => {
    const says = 'no grant that can match allows any user a tool of its manifest'
    return { severity: 'warning', kind: 'agent_unmet', agent: clientId, says, by: [] }
  })
  const all = [...ofGrants, ...ofAgents]
  return [...all.filter(({ severity }) => severity === 'error'), ...all.filter(({ severity }) => severity !== 'error')]
}

function draw(found: readonly Found[], counts: string, ok: boolean, styles: Styles): string {
  const lines = found.map(({ severity, grant, agent, path, says }) => {
    const word = severity === 'error' ? styles.bad('problem') : styles.accent('warning')
    const what = grant === undefined ? `agent ${agent}` : `grant ${grant}`
    return `${word}  ${printable(`${what}: ${says}`)}${path === undefined ? '' : styles.dim(`  ${printable(path)}`)}`
  })
  return `${[...lines, `${ok ? styles.good('ok') : styles.bad('not ok')}  ${counts}`].join('\n')}\n`
}
