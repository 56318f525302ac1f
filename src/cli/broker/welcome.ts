/** What a developer sees after `npm start`: the first exchange, ready to paste, and where to go from there. */
import { dirname } from 'node:path'
import type { Config } from '../../config/config.ts'
import type { Registry } from '../../model/registry.ts'
import { CLIENT_ASSERTION_TYPE_JWT, GRANT_TYPE } from '../../protocol/oauth.ts'
import { programNameAnywhere, shellWord } from '../invocation.ts'
import type { Styles } from '../terminal.ts'
import { DEMO_AGENT, DEMO_RESOURCE } from './development.ts'

export interface Started {
  readonly config: Config
  readonly configFile: string
  readonly registry: Registry
}

export function welcome({ config, configFile, registry }: Started, { bold, dim }: Styles): string {
  const errand = programNameAnywhere()
  const at = `--config ${shellWord(configFile)}`
  const files = dim(
    `Everything of this broker is in ${dirname(configFile)}: change registry.yaml, run ${errand} policy apply ${at}, and see a decision change.`,
  )
  // Whoever has replaced the demo's own agent knows better what to ask for.
  if (registry.client(DEMO_AGENT) === undefined) return `${files}\n\n`
  const asAgent = `${at} --client ${DEMO_AGENT}`
  return [
    '',
    bold(`First exchange: a token for ${DEMO_RESOURCE}, as ${DEMO_AGENT} gets it. Paste this in another shell:`),
    '',
    `  ${errand} assertion ${asAgent} \\`,
    `    | curl -s ${config.settings.issuer}/token --data-urlencode client_assertion@- \\`,
    `      -d client_assertion_type=${CLIENT_ASSERTION_TYPE_JWT} \\`,
    `      -d grant_type=${GRANT_TYPE.clientCredentials} -d resource=${DEMO_RESOURCE}`,
    '',
    bold('The same drawn, what is running, and the end of it:'),
    '',
    `  ${errand} exchange ${asAgent} --resource ${DEMO_RESOURCE}`,
    `  ${errand} sessions ${at}`,
    `  ${errand} revoke ${at} --agent ${DEMO_AGENT} --block`,
    `  ${errand} lift ${at} --agent ${DEMO_AGENT}`,
    '',
    files,
    '',
    '',
  ].join('\n')
}
