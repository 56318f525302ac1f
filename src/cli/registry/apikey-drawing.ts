/** What commands say of API keys: one that was made, and those there are. Its text is told once, to a terminal. */

import type { Secret } from '../../kernel/secret.ts'
import type { ApiKey } from '../../model/client.ts'
import { programName, typedPath } from '../invocation.ts'
import type { Io } from '../io.ts'
import { writeJson } from '../output.ts'
import { time } from '../terminal.ts'

interface MadeKey {
  readonly clientId: string
  readonly configFile: string
  readonly issuer: string
  /** `undefined`: the terminal. */
  readonly out: string | undefined
  readonly made: ApiKey
  readonly kept: readonly ApiKey[]
  readonly isOn: boolean
  readonly key: Secret
  readonly isJson: boolean
}

/** The `--json` form of a key that is there. */
export function keyWords({ id, version, issuedAt, expiresAt, confinement }: ApiKey) {
  return {
    id,
    version,
    resources: [...confinement.resources],
    scopes: confinement.scopes,
    issued_at: time(issuedAt),
    expires_at: time(expiresAt),
  }
}

export function opens({ confinement }: ApiKey): string {
  return `${confinement.scopes.join(' ')} at ${[...confinement.resources].join(' ')}`
}

export function tellApiKey(
  { clientId, configFile, issuer, out, made, kept, isOn, key, isJson }: MadeKey,
  io: Io,
): void {
  const alsoGood = kept.map((other) => ({ id: other.id, expires_at: time(other.expiresAt) }))
  if (isJson) {
    writeJson({ client: clientId, ...keyWords(made), file: out, also_good: alsoGood }, io)
    return
  }
  const { bold, dim, accent } = io.styles
  io.out(
    [
      `${bold('made')}: API key ${made.id} of ${clientId}, version ${made.version}, good until ${time(made.expiresAt)}`,
      `  ${dim('opens')}       ${opens(made)}`,
      ...kept.map((old) => `  ${dim('also good')}   ${old.id}, until ${time(old.expiresAt)}`),
      out === undefined
        ? `  ${dim('key')}         ${key.reveal()}\n              shown this once: give it to the agent, and to nobody else`
        : `  ${dim('key')}         ${out} (0600): give it to the agent, and to nobody else`,
      ...(isOn
        ? []
        : [accent('  client_authentication.api_keys is off: brokers refuse it until errand.yaml says true')]),
      '',
      'Next: check it, publish it, and ask for a token with it:',
      `  ${programName()} check --config ${typedPath(configFile)}`,
      `  ${programName()} policy apply --config ${typedPath(configFile)}`,
      `  printf 'Authorization: Bearer %s' "$(cat ${out === undefined ? 'FILE' : typedPath(out)})" | curl -H @- \\`,
      `    -d grant_type=client_credentials -d client_id=${clientId} \\`,
      `    -d resource=${[...made.confinement.resources][0]} ${issuer}/token`,
      '',
    ].join('\n'),
  )
}
