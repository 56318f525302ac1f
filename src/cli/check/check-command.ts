/** `errand check`: configuration, policy and keys, read without starting anything. */

import type { Config } from '../../config/config.ts'
import { configPath, loadConfig, loadRegistryFiles } from '../../config/load-config.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { assertCanSeal, KeyEncryptionKeys } from '../../keys/key-encryption-keys.ts'
import { KeyFileError } from '../../keys/key-file.ts'
import { loadKeys } from '../../keys/key-files.ts'
import { KeyRing } from '../../keys/key-ring.ts'
import { KEY_CLASSES } from '../../keys/ring-view.ts'
import { seals } from '../../model/captured.ts'
import type { Registry } from '../../model/registry.ts'
import { ConfigurationError } from '../../registry/strict-document.ts'
import type { CommandBody } from '../command.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { shortVersion } from '../policy/publication-drawing.ts'
import { plural, type Styles } from '../terminal.ts'
import { approverWarnings } from './approver-warnings.ts'
import { clientWarnings } from './client-warnings.ts'
import { externalPdpWarnings } from './external-pdp-warnings.ts'
import { governanceWarnings } from './governance-warnings.ts'
import { issuerWarnings } from './issuer-warnings.ts'
import { policyWarnings } from './policy-warnings.ts'
import { trustDomainWarnings } from './trust-domain-warnings.ts'
import { keyFileWarnings, workloadWarnings } from './workload-warnings.ts'

interface Findings {
  readonly problems: string[]
  readonly warnings: string[]
  config: Config | undefined
  registry: Registry | undefined
}

export const checkCommand: CommandBody = {
  arguments: [],
  options: { ...CONFIG_OPTION, ...JSON_OPTION },
  examples: ['errand check --config deploy/example/errand.yaml'],
  notes: ['Exit code 0: a broker would start. 1: it would not, and every reason is listed. Warnings change nothing.'],
  run: async (args, io) => {
    const findings = await findAll(configPath(args.text('config')))
    const { problems, warnings, registry } = findings
    if (args.flag('json')) {
      writeJson({ ok: problems.length === 0, problems, warnings, policy_version: registry?.version }, io)
    } else io.out(draw(findings, io.styles))
    return problems.length === 0 ? 0 : 1
  },
}

async function findAll(path: string): Promise<Findings> {
  const findings: Findings = { problems: [], warnings: [], config: undefined, registry: undefined }
  try {
    const config = loadConfig(path)
    findings.config = config
    await checkKeys(config, findings)
    const registry = loadRegistryFiles(config)
    findings.registry = registry
    findings.warnings.push(...policyWarnings(registry, config.settings), ...approverWarnings(registry, config))
    findings.warnings.push(...governanceWarnings(registry, epochSeconds(systemClock)))
    findings.warnings.push(...workloadWarnings(registry), ...(await keyFileWarnings(registry)))
    findings.warnings.push(...(await trustDomainWarnings(registry, config)), ...(await issuerWarnings(registry)))
    findings.warnings.push(...(await externalPdpWarnings(config)))
    findings.warnings.push(...clientWarnings(registry, config.settings, epochSeconds(systemClock)))
  } catch (fault) {
    if (!(fault instanceof ConfigurationError)) throw fault
    findings.problems.push(...fault.problems)
  }
  return findings
}

async function checkKeys({ keys, development, settings }: Config, { problems, warnings }: Findings): Promise<void> {
  try {
    const sealing = seals(settings.capture)
    assertCanSeal(await KeyEncryptionKeys.open(keys.directory), keys.directory, sealing)
    const described = new KeyRing(await loadKeys(keys.directory, { development })).describe(epochSeconds(systemClock))
    const lacking = KEY_CLASSES.filter((cls) => !described.some((key) => key.class === cls && key.state === 'active'))
    if (lacking.length > 0)
      warnings.push(`keys: no active ${lacking.join(', ')} key yet; errand serve makes what is missing`)
  } catch (fault) {
    if (!(fault instanceof KeyFileError)) throw fault
    // A first start makes the directory, and the keys in it.
    if (fault.message.endsWith('(ENOENT)'))
      warnings.push(`keys: ${keys.directory} is not there yet; errand serve makes it`)
    else problems.push(`keys: ${fault.message}`)
  }
}

function draw({ problems, warnings, config, registry }: Findings, styles: Styles): string {
  const lines = [
    ...problems.map((problem) => `${styles.bad('problem')}  ${problem}`),
    ...warnings.map((warning) => `${styles.accent('warning')}  ${warning}`),
  ]
  if (config !== undefined && registry !== undefined && problems.length === 0) {
    const counts = [
      plural(registry.agents.length, 'agent'),
      plural(registry.resources.length, 'resource'),
      plural(registry.grants.length, 'grant'),
    ]
    lines.push(
      `${styles.good('ok')}  ${config.settings.issuer} (${config.settings.environment}), ${config.store.kind} store, ${counts.join(', ')}, policy ${shortVersion(registry.version)}`,
    )
  } else lines.push(styles.bad(`not ok: ${plural(problems.length, 'problem')}`))
  return `${lines.join('\n')}\n`
}
