/** `errand policy check`: grants that cannot do what they say, and agents that no grant meets; for a person, and for a build. */
import { configPath, loadConfig, loadRegistryFiles } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { beyondOwners } from '../../policy/beyond-owner.ts'
import { policyFindings } from '../../policy/dead-grants.ts'
import { worksForUsers } from '../check/policy-warnings.ts'
import type { CommandBody } from '../command.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { plural, printable, type Styles } from '../terminal.ts'

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
    'Exit code 1: an agent whose manifest goes beyond what its owner, a user or a group, could be granted; an allow that never allows anything, or a deny that denies nothing because it names nobody, no tool, or no environment there is; with --strict, anything at all. 2: the configuration could not be read. 0 otherwise.',
    'Of an agent that a team owns (a name that is no user: or group:) nobody can say that; --json lists it as unverified.',
    'Only what is certain is reported: a grant that is not named here may still do nothing.',
  ],
  run: async (args, io) => {
    const { found, unverified } = findAll(configPath(args.text('config')))
    const errors = found.filter(({ severity }) => severity === 'error').length
    const warnings = found.length - errors
    const ok = errors === 0 && (warnings === 0 || !args.flag('strict'))
    if (args.flag('json')) writeJson({ ok, errors, warnings, findings: found, unverified }, io)
    else io.out(draw(found, `${plural(errors, 'error')}, ${plural(warnings, 'warning')}`, ok, io.styles))
    return ok ? 0 : 1
  },
}

/** `unverified`: agents of a team, of which nobody can say what it could be granted. */
interface FoundAll {
  readonly found: readonly Found[]
  readonly unverified: readonly string[]
}

/** Of the tools that go beyond an owner. */
const TOOLS_NAMED_MAX = 8

function findAll(path: string): FoundAll {
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
  const { beyond, unverified } = beyondOwners(registry)
  const ofOwners = beyond.map(({ agent: { clientId, owner }, tools }): Found => {
    const named = tools.slice(0, TOOLS_NAMED_MAX).join(', ')
    const more = tools.length > TOOLS_NAMED_MAX ? ` and ${tools.length - TOOLS_NAMED_MAX} more` : ''
    const says = `its manifest goes beyond its owner ${owner}, who could not be granted ${named}${more}`
    return { severity: 'error', kind: 'beyond_owner', agent: clientId, says, by: [owner] }
  })
  const all = [...ofGrants, ...ofOwners, ...ofAgents]
  const found = [
    ...all.filter(({ severity }) => severity === 'error'),
    ...all.filter(({ severity }) => severity !== 'error'),
  ]
  return { found, unverified: unverified.map(({ clientId }) => clientId) }
}

function draw(found: readonly Found[], counts: string, ok: boolean, styles: Styles): string {
  const lines = found.map(({ severity, grant, agent, path, says }) => {
    const word = severity === 'error' ? styles.bad('problem') : styles.accent('warning')
    const what = grant === undefined ? `agent ${agent}` : `grant ${grant}`
    return `${word}  ${printable(`${what}: ${says}`)}${path === undefined ? '' : styles.dim(`  ${printable(path)}`)}`
  })
  return `${[...lines, `${ok ? styles.good('ok') : styles.bad('not ok')}  ${counts}`].join('\n')}\n`
}
