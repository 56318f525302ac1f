/** Every command there is, in the order help lists them. */
import { adminTokenCommand } from './admin-token.ts'
import { agentAddCommand } from './agent-add.ts'
import { apikeyAddCommand, apikeyRotateCommand } from './apikey.ts'
import { apikeyListCommand } from './apikey-list.ts'
import { assertionCommand } from './assertion.ts'
import { auditCommand } from './audit.ts'
import { backupCommand } from './backup.ts'
import { blocksCommand } from './blocks.ts'
import { checkCommand } from './check.ts'
import type { Command } from './command.ts'
import { demoCommand } from './demo-command.ts'
import { doctorCommand } from './doctor.ts'
import { exchangeCommand } from './exchange.ts'
import { healthCommand } from './health.ts'
import { initCommand } from './init.ts'
import { inspectCommand } from './inspect.ts'
import { keysCommand } from './keys.ts'
import { keysKillCommand } from './keys-kill.ts'
import { keysRotateCommand } from './keys-rotate.ts'
import { liftCommand } from './lift.ts'
import { policyCheckCommand } from './policy-check.ts'
import { proofCommand } from './proof.ts'
import { restoreCommand } from './restore.ts'
import { revokeCommand } from './revoke.ts'
import { secretAddCommand, secretRotateCommand } from './secret.ts'
import { serveCommand } from './serve.ts'
import { serviceAddCommand } from './service-add.ts'
import { sessionsCommand } from './sessions.ts'

export interface Group {
  readonly title: string
  readonly commands: readonly Command[]
}

export const GROUPS: readonly Group[] = [
  {
    title: 'Set up',
    commands: [
      demoCommand,
      initCommand,
      checkCommand,
      policyCheckCommand,
      doctorCommand,
      serveCommand,
      agentAddCommand,
      serviceAddCommand,
      secretAddCommand,
      secretRotateCommand,
      apikeyAddCommand,
      apikeyRotateCommand,
      apikeyListCommand,
    ],
  },
  { title: 'As an agent', commands: [exchangeCommand, assertionCommand, proofCommand, inspectCommand] },
  {
    title: 'As an operator, on the broker’s own machine',
    commands: [
      healthCommand,
      sessionsCommand,
      revokeCommand,
      liftCommand,
      blocksCommand,
      auditCommand,
      adminTokenCommand,
      keysCommand,
      keysRotateCommand,
      keysKillCommand,
      backupCommand,
      restoreCommand,
    ],
  },
]

export const COMMANDS: readonly Command[] = GROUPS.flatMap(({ commands }) => commands)
