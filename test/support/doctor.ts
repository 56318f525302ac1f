/** The doctor beside a broker with the same registry: what each says of one credential. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Diagnosis, diagnose } from '../../src/cli/doctor/diagnosis.ts'
import { admit } from '../../src/cli/doctor/patient.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { startIssuer, type TestIssuer } from './issuer.ts'
import { type Answer, registryDocument, startWorld, type World, type WorldOptions } from './world.ts'

export interface Practice {
  readonly world: World
  examined(text: string, more?: { as?: string; offline?: boolean; jwks?: string }): Promise<Diagnosis>
  /** The reason that the broker's record gives; `accepted`: none. */
  verdict(answer: Answer): Promise<string>
  close(): Promise<void>
}

export async function openPractice(
  registryOf: (idp: TestIssuer) => Readonly<Record<string, unknown>>,
  settings: WorldOptions['settings'] = {},
): Promise<Practice> {
  const directory = mkdtempSync(join(tmpdir(), 'errand-doctor-'))
  const idp = await startIssuer({ slug: 'corp' })
  const registry = { ...registryDocument(idp), ...registryOf(idp) }
  const file = join(directory, 'registry.yaml')
  writeFileSync(file, JSON.stringify(registry))
  const world = await startWorld({
    issuer: idp,
    realClock: true,
    settings,
    registry,
    keysDirectory: join(directory, 'keys'),
  })
  return {
    world,
    examined: (text, { as, offline = false, jwks } = {}) => {
      const config = { ...world.config, registryPaths: [file] }
      return diagnose(admit(config, { token: new Secret(text), clientId: as, offline, jwks, clock: world.clock }))
    },
    verdict: async (answer) => {
      await world.broker.flushAudit()
      if (answer.status === 200) return 'accepted'
      if (answer.body.error_reason !== undefined) return answer.body.error_reason
      const [newest] = await world.audit(1)
      return newest.strangers?.[0]?.[0] ?? newest.reason
    },
    close: async () => {
      await world.close()
      await idp.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
