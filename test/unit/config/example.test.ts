/** The configuration in `deploy/example` is what people copy: it must load, and do what its comments say. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig, loadRegistryFiles } from '../../../src/config/load-config.ts'
import { type DecisionId, userPrincipal } from '../../../src/kernel/ids.ts'
import { askedAuthority } from '../../../src/policy/asked.ts'
import { decide } from '../../../src/policy/decide.ts'

const directory = join(import.meta.dirname, '../../../deploy/example')
const config = loadConfig(join(directory, 'errand.yaml'))
const registry = loadRegistryFiles(config)

test('it loads, and every agent can authenticate and has something to do', () => {
  expect(registry.agents.map(({ clientId }) => clientId)).toEqual(['report-orchestrator', 'chart-maker'])
  for (const agent of registry.agents) {
    expect(agent.keys).toHaveLength(1)
    expect(agent.grantTypes.length).toBeGreaterThan(0)
    expect(agent.manifest.length).toBeGreaterThan(0)
    expect(agent.environment).toBe(config.settings.environment)
  }
})

test("the standing intent is granted to alice's agent, within the bounds of her grants", () => {
  const agent = registry.client('report-orchestrator')
  const issuer = registry.issuerBySlug('corp')
  const user = issuer && registry.user(issuer, 'alice')
  if (agent?.kind !== 'agent' || agent.standingIntent === undefined || user === undefined) throw new Error('not there')
  const decision = decide(registry, {
    id: 'dec_example' as DecisionId,
    now: 1_780_000_000,
    environment: config.settings.environment,
    agent,
    chain: [],
    services: [],
    subject: userPrincipal('corp', 'alice'),
    user,
    asked: askedAuthority(
      { registry, environment: config.settings.environment },
      agent.standingIntent.tools,
      1_780_000_900,
      1,
    ),
    askedExplicitly: false,
    container: undefined,
    risk: undefined,
    parent: undefined,
    ceiling: undefined,
    target: undefined,
    external: { kind: 'none' },
    atCall: false,
    contracted: false,
  })
  expect(decision).toMatchObject({ outcome: 'allow', missing: [] })
})

test('it holds no private key and no password', () => {
  for (const name of readdirSync(directory)) {
    expect(readFileSync(join(directory, name), 'utf8')).not.toMatch(/\bd: |PRIVATE KEY|password: /)
  }
})
