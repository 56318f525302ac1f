/**
 * `errand apikey add` and `errand apikey rotate`: an API key, the last resort of what can do nothing better. Its digest goes into
 * the registry with what it opens; the key itself goes once to a terminal or into a private file, and is kept nowhere.
 */

import { basename, resolve } from 'node:path'
import type { Config } from '../../config/config.ts'
import { configPath, loadConfig, loadRegistryFiles } from '../../config/load-config.ts'
import { newApiKey } from '../../credentials/client/api-key.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { API_KEY_LIFETIME_S_MAX, API_KEYS_MAX } from '../../kernel/credential-limits.ts'
import { Secret } from '../../kernel/secret.ts'
import type { Agent, ApiKey, Confinement } from '../../model/client.ts'
import type { Registry } from '../../model/registry.ts'
import { GRANT_TYPE } from '../../protocol/oauth.ts'
import { scopeSet } from '../../protocol/scope.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { programName } from '../invocation.ts'
import type { Io } from '../io.ts'
import { CONFIG_OPTION, JSON_OPTION, type OptionSpecs } from '../options.ts'
import { time } from '../terminal.ts'
import { beyondManifest } from './api-key-reach.ts'
import { tellApiKey } from './apikey-drawing.ts'
import { chosenRegistry, REGISTRY_OPTION, registerClient } from './registry-file.ts'
import { type WrittenApiKey, withSecrets } from './secret-edit.ts'
import { knownClient, secretDestination, soleVersion } from './secret-owner.ts'

const DAY_S = 86_400
const DAYS_MAX = API_KEY_LIFETIME_S_MAX / DAY_S
const OVERLAP_HOURS_DEFAULT = 24

const COMMON: OptionSpecs = {
  days: { value: 'N', help: `how long it is good for, at most and by default ${DAYS_MAX} days` },
  out: { value: 'FILE', help: 'write the key to this new file (mode 600) instead of the terminal' },
  ...REGISTRY_OPTION,
  ...CONFIG_OPTION,
  ...JSON_OPTION,
}
const NOTES = [
  'Prefer keys, workload tokens or client metadata documents: whoever has seen an API key is its agent until it ends. The registry gets the digest alone. Brokers know of it once errand policy apply has published it.',
]

export const apikeyAddCommand: CommandBody = {
  arguments: ['AGENT'],
  options: {
    resource: { value: 'ID,…', help: 'the MCP servers it is for, by id or URL' },
    scope: { value: 'SCOPE,…', help: 'the scopes it is for' },
    version: { value: 'VERSION', help: 'the version of the agent it authenticates (default: the only one there is)' },
    ...COMMON,
  },
  examples: ['errand apikey add nightly --resource warehouse --scope mcp:tools:read --days 30 --out nightly.apikey'],
  notes: NOTES,
  run: (args, io) =>
    make(args, io, ({ agent, registry, present }) => {
      if (!agent.grantTypes.includes(GRANT_TYPE.clientCredentials)) {
        throw new UsageError(`${agent.clientId} has no client_credentials in its grant_types: a key would open nothing`)
      }
      if (present.length >= API_KEYS_MAX) throw new CommandFailure(`${agent.clientId} has ${API_KEYS_MAX} keys already`)
      const confinement = { resources: resourcesOf(args, registry), scopes: scopeSet(args.list('scope')) }
      if (confinement.scopes.length === 0)
        throw new UsageError('--scope is needed: a key is for some scopes, never for all')
      const beyond = beyondManifest(agent, confinement, registry)
      if (beyond.length > 0) throw new UsageError(`that would be no narrower than its agent: ${beyond.join('; ')}`)
      return { kept: present, version: args.text('version') ?? soleVersion(agent), confinement }
    }),
}

export const apikeyRotateCommand: CommandBody = {
  arguments: ['AGENT', '[KEY]'],
  options: {
    'overlap-hours': {
      value: 'N',
      help: `how long the old one still works (default ${OVERLAP_HOURS_DEFAULT}); 0 removes it, as after a leak`,
    },
    ...COMMON,
  },
  examples: ['errand apikey rotate nightly k-1f9c2d3a --out nightly-2.apikey'],
  notes: NOTES,
  run: (args, io) => {
    const overlap = (args.whole('overlap-hours', 0, DAYS_MAX * 24) ?? OVERLAP_HOURS_DEFAULT) * 3600
    return make(args, io, ({ agent, present, now }) => {
      const old = soleKey(agent, present, args.positionals[1])
      const others = present.filter((key) => key !== old)
      const ending = overlap === 0 ? [] : [{ ...old, expiresAt: Math.min(old.expiresAt, now + overlap) }]
      const kept = [...others, ...ending]
      if (kept.length >= API_KEYS_MAX) throw new CommandFailure(`${agent.clientId} has ${API_KEYS_MAX} keys already`)
      return { kept, version: old.version, confinement: old.confinement }
    })
  },
}

interface Before {
  readonly agent: Agent
  readonly registry: Registry
  /** Those that are good now, or will be. */
  readonly present: readonly ApiKey[]
  readonly now: number
}

interface Plan {
  /** What stays beside the new one. */
  readonly kept: readonly ApiKey[]
  readonly version: string
  readonly confinement: Confinement
}

async function make(args: Args, io: Io, plan: (before: Before) => Plan): Promise<number> {
  const configFile = resolve(configPath(args.text('config')))
  const config = loadConfig(configFile)
  const [clientId = ''] = args.positionals
  const out = secretDestination(args, io)
  const registryFile = chosenRegistry(config, args)
  const { agent, registry } = knownAgent(config, clientId)
  const now = epochSeconds(systemClock)
  const present = agent.apiKeys.filter(({ expiresAt }) => now < expiresAt)
  const { kept, version, confinement } = plan({ agent, registry, present, now })
  const key = newApiKey()
  const digest = key.fingerprint()
  const made: ApiKey = {
    id: `k-${digest.slice(0, 8)}`,
    version,
    digest: Buffer.from(digest, 'base64url'),
    issuedAt: now,
    expiresAt: now + (args.whole('days', 1, DAYS_MAX) ?? DAYS_MAX) * DAY_S,
    confinement,
  }
  const written = [...kept, made].map((one) => writtenAs(one, registry))
  const file = out === undefined ? undefined : { path: resolve(out), text: new Secret(`${key.reveal()}\n`) }
  await registerClient(config, { registryFile, file }, (text) =>
    withSecrets(text, basename(registryFile), { clientId, member: 'api_keys' }, written),
  )
  tellApiKey(
    {
      clientId,
      configFile,
      issuer: config.settings.issuer,
      out,
      made,
      kept,
      isOn: config.settings.apiKeys,
      key,
      isJson: args.flag('json'),
    },
    io,
  )
  return 0
}

function knownAgent(config: Config, clientId: string): { readonly agent: Agent; readonly registry: Registry } {
  const agent = knownClient(config, clientId)
  if (agent.kind === 'agent') return { agent, registry: loadRegistryFiles(config) }
  throw new UsageError(`${clientId} is a service: API keys are for agents`)
}

/** @throws UsageError */
function resourcesOf(args: Args, registry: Registry): Confinement['resources'] {
  const named = args.list('resource')
  if (named.length === 0) throw new UsageError('--resource is needed: a key is for some servers, never for all')
  return new Set(
    named.map((name) => {
      const resource = registry.resourceByName(name)
      if (resource === undefined) throw new UsageError(`no resource is named ${name}`)
      return resource.url
    }),
  )
}

/** @throws UsageError */
function soleKey({ clientId }: Agent, present: readonly ApiKey[], id: string | undefined): ApiKey {
  const [only, ...others] = present.filter((key) => id === undefined || key.id === id)
  if (only !== undefined && others.length === 0) return only
  if (present.length === 0) throw new UsageError(`${clientId} has no API key: ${programName()} apikey add makes one`)
  throw new UsageError(`say which: ${present.map((key) => key.id).join(', ')}`)
}

function writtenAs(
  { id, version, digest, issuedAt, expiresAt, confinement }: ApiKey,
  registry: Registry,
): WrittenApiKey {
  return {
    id,
    version,
    sha256: digest.toString('base64url'),
    resources: [...confinement.resources].map((url) => registry.resource(url)?.id ?? url),
    scopes: confinement.scopes,
    issued_at: time(issuedAt),
    expires_at: time(expiresAt),
  }
}
