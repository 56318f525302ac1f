/**
 * `errand secret add` and `errand secret rotate`: a client secret for `client_secret_basic`, made here. Its digest goes into
 * the registry; the secret itself goes once to a terminal or into a private file, and is kept nowhere.
 */

import { basename, resolve } from 'node:path'
import type { Config } from '../../config/config.ts'
import { configPath, loadConfig } from '../../config/load-config.ts'
import { newClientSecret } from '../../credentials/client/client-secret.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { CLIENT_SECRET_LIFETIME_S_MAX } from '../../kernel/credential-limits.ts'
import { Secret } from '../../kernel/secret.ts'
import type { ClientSecret } from '../../model/client.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { programName, typedPath } from '../invocation.ts'
import type { Io } from '../io.ts'
import { CONFIG_OPTION, JSON_OPTION, type OptionSpecs } from '../options.ts'
import { writeJson } from '../output.ts'
import { time } from '../terminal.ts'
import { chosenRegistry, REGISTRY_OPTION, registerClient } from './registry-file.ts'
import { type WrittenSecret, withSecrets } from './secret-edit.ts'
import { knownClient, secretDestination, soleVersion } from './secret-owner.ts'

const DAY_S = 86_400
const DAYS_MAX = CLIENT_SECRET_LIFETIME_S_MAX / DAY_S
const OVERLAP_HOURS_DEFAULT = 24

const COMMON: OptionSpecs = {
  days: { value: 'N', help: `how long it is good for, at most and by default ${DAYS_MAX} days` },
  version: { value: 'VERSION', help: 'the version of the client it authenticates (default: the only one there is)' },
  out: { value: 'FILE', help: 'write the secret to this new file (mode 600) instead of the terminal' },
  ...REGISTRY_OPTION,
  ...CONFIG_OPTION,
  ...JSON_OPTION,
}
const NOTES = [
  'The registry gets the digest alone: a secret that is lost cannot be shown again, only replaced. Brokers know it once errand policy apply has published it.',
]

export const secretAddCommand: CommandBody = {
  arguments: ['CLIENT'],
  options: COMMON,
  examples: ['errand secret add chart-maker --out chart-maker.secret'],
  notes: NOTES,
  run: (args, io) =>
    addSecret(args, io, ({ present, clientId }) => {
      if (present.length === 0) return []
      throw new UsageError(`${clientId} has a secret already: ${programName()} secret rotate ${clientId} replaces it`)
    }),
}

export const secretRotateCommand: CommandBody = {
  arguments: ['CLIENT'],
  options: {
    'overlap-hours': {
      value: 'N',
      help: `how long the old one still works (default ${OVERLAP_HOURS_DEFAULT}); 0 removes it, as after a leak`,
    },
    ...COMMON,
  },
  examples: ['errand secret rotate chart-maker --out chart-maker-2.secret'],
  notes: NOTES,
  run: (args, io) => {
    const overlap = (args.whole('overlap-hours', 0, DAYS_MAX * 24) ?? OVERLAP_HOURS_DEFAULT) * 3600
    return addSecret(args, io, ({ present, clientId, now }) => {
      const [newest, ...others] = [...present].sort((a, b) => b.issuedAt - a.issuedAt)
      if (newest === undefined) throw new UsageError(`${clientId} has no secret: ${programName()} secret add makes one`)
      if (overlap === 0) return []
      const [older] = others
      if (older !== undefined) {
        throw new CommandFailure(
          `two secrets of ${clientId} are good: wait until ${older.id} ends (${time(older.expiresAt)}), or end both with --overlap-hours 0`,
        )
      }
      return [{ ...newest, expiresAt: Math.min(newest.expiresAt, now + overlap) }]
    })
  },
}

interface Before {
  readonly clientId: string
  /** Those that are good now, or will be. */
  readonly present: readonly ClientSecret[]
  readonly now: number
}

/** @param keep what stays beside the new one */
async function addSecret(args: Args, io: Io, keep: (before: Before) => readonly ClientSecret[]): Promise<number> {
  const configFile = resolve(configPath(args.text('config')))
  const config = loadConfig(configFile)
  const [clientId = ''] = args.positionals
  const out = secretDestination(args, io)
  const registryFile = chosenRegistry(config, args)
  const client = knownClient(config, clientId)
  const now = epochSeconds(systemClock)
  const kept = keep({ clientId, present: client.secrets.filter(({ expiresAt }) => now < expiresAt), now })
  const secret = newClientSecret()
  const expiresAt = now + (args.whole('days', 1, DAYS_MAX) ?? DAYS_MAX) * DAY_S
  const digest = secret.fingerprint()
  const version = args.text('version') ?? soleVersion(client)
  const made: WrittenSecret = {
    id: `s-${digest.slice(0, 8)}`,
    version,
    sha256: digest,
    issued_at: time(now),
    expires_at: time(expiresAt),
  }
  const written = [...kept.map(writtenAs), made]
  const file = out === undefined ? undefined : { path: resolve(out), text: new Secret(`${secret.reveal()}\n`) }
  await registerClient(config, { registryFile, file }, (text) =>
    withSecrets(text, basename(registryFile), { clientId, member: 'client_secrets' }, written),
  )
  const told = { clientId, configFile, out, version, id: made.id, expiresAt, kept, config }
  if (args.flag('json')) writeJson(asJson(told), io)
  else tell(told, secret, io)
  return 0
}

function writtenAs({ id, version, digest, issuedAt, expiresAt }: ClientSecret): WrittenSecret {
  return { id, version, sha256: digest.toString('base64url'), issued_at: time(issuedAt), expires_at: time(expiresAt) }
}

interface Told {
  readonly clientId: string
  readonly configFile: string
  readonly out: string | undefined
  readonly version: string
  readonly id: string
  readonly expiresAt: number
  readonly kept: readonly ClientSecret[]
  readonly config: Config
}

function asJson({ clientId, out, version, id, expiresAt, kept }: Told) {
  return {
    client: clientId,
    id,
    version,
    expires_at: time(expiresAt),
    file: out,
    also_good: kept.map((old) => ({ id: old.id, expires_at: time(old.expiresAt) })),
  }
}

function tell({ clientId, configFile, out, version, id, expiresAt, kept, config }: Told, secret: Secret, io: Io): void {
  const { bold, dim, accent } = io.styles
  const isOn = config.settings.clientSecretBasic
  io.out(
    [
      `${bold('made')}: secret ${id} of ${clientId}, version ${version}, good until ${time(expiresAt)}`,
      ...kept.map((old) => `  ${dim('still good')}  ${old.id}, until ${time(old.expiresAt)}`),
      out === undefined
        ? `  ${dim('secret')}      ${secret.reveal()}\n              shown this once: give it to the client, and to nobody else`
        : `  ${dim('secret')}      ${out} (0600): give it to the client, and to nobody else`,
      ...(isOn
        ? []
        : [
            accent('  client_authentication.client_secret_basic is off: brokers refuse it until errand.yaml says true'),
          ]),
      '',
      'Next: check it, and publish it:',
      `  ${programName()} check --config ${typedPath(configFile)}`,
      `  ${programName()} policy apply --config ${typedPath(configFile)}`,
      '',
    ].join('\n'),
  )
}
