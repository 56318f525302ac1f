/** Every command there is, in the order help lists them; the code of each is read when it is run. */
import type { CommandBody, CommandEntry } from './command.ts'

export interface Group {
  readonly title: string
  readonly commands: readonly CommandEntry[]
}

function command(name: string, summary: string, body: () => Promise<CommandBody>): CommandEntry {
  return { name, summary, load: async () => ({ name, summary, ...(await body()) }) }
}

export const GROUPS: readonly Group[] = [
  {
    title: 'Set up',
    commands: [
      command(
        'demo',
        'play the whole story on this machine: open, call, delegate, refuse, revoke',
        async () => (await import('./demo/demo-command.ts')).demoCommand,
      ),
      command(
        'init',
        'ask a few questions and write a broker’s files',
        async () => (await import('./setup/init.ts')).initCommand,
      ),
      command(
        'check',
        'check configuration, policy and keys without starting anything',
        async () => (await import('./check/check-command.ts')).checkCommand,
      ),
      command(
        'policy check',
        'find grants that contradict each other, say nothing new, or can never match',
        async () => (await import('./policy/policy-check.ts')).policyCheckCommand,
      ),
      command(
        'policy diff',
        'list past decisions that a draft of the policy would answer otherwise',
        async () => (await import('./policy/policy-diff.ts')).policyDiffCommand,
      ),
      command(
        'policy apply',
        'publish the policy files, for all brokers and without a restart',
        async () => (await import('./policy/policy-apply.ts')).policyApplyCommand,
      ),
      command(
        'doctor',
        'say who a token would be here, or which check refuses it, and what to do',
        async () => (await import('./doctor/doctor-command.ts')).doctorCommand,
      ),
      command('serve', 'run the broker', async () => (await import('./broker/serve.ts')).serveCommand),
      command(
        'agent add',
        'register an agent and make its key pair',
        async () => (await import('./registry/agent-add.ts')).agentAddCommand,
      ),
      command(
        'service add',
        'register an MCP server’s own client and make its key pair',
        async () => (await import('./registry/service-add.ts')).serviceAddCommand,
      ),
      command(
        'tools pin',
        'pin an MCP server’s tools, and say which have changed since',
        async () => (await import('./registry/tools-pin.ts')).toolsPinCommand,
      ),
      command(
        'secret add',
        'make a client secret, for SDKs that cannot sign assertions',
        async () => (await import('./registry/secret.ts')).secretAddCommand,
      ),
      command(
        'secret rotate',
        'make the successor of a client secret; both are good for a while',
        async () => (await import('./registry/secret.ts')).secretRotateCommand,
      ),
      command(
        'apikey add',
        'make an API key, the last resort: for some servers and scopes of one agent’s own work',
        async () => (await import('./registry/apikey.ts')).apikeyAddCommand,
      ),
      command(
        'apikey rotate',
        'make the successor of an API key, for the same; both are good for a while',
        async () => (await import('./registry/apikey.ts')).apikeyRotateCommand,
      ),
      command(
        'apikey list',
        'list API keys: whose, what they open, until when',
        async () => (await import('./registry/apikey-list.ts')).apikeyListCommand,
      ),
    ],
  },
  {
    title: 'As an agent',
    commands: [
      command(
        'exchange',
        'get a token, as an agent does',
        async () => (await import('./agent/exchange.ts')).exchangeCommand,
      ),
      command(
        'assertion',
        'sign a client assertion for one request, as an agent does',
        async () => (await import('./agent/assertion.ts')).assertionCommand,
      ),
      command(
        'proof',
        'sign a DPoP proof for one request with a bound token',
        async () => (await import('./agent/proof.ts')).proofCommand,
      ),
      command(
        'inspect',
        'draw a token: chain, authority, time left, what would kill it',
        async () => (await import('./agent/inspect.ts')).inspectCommand,
      ),
    ],
  },
  {
    title: 'As an operator, on the broker’s own machine',
    commands: [
      command(
        'registry list',
        'list agents, resources, users, grants …: state, owner, and where each is written',
        async () => (await import('./policy/registry-objects.ts')).registryListCommand,
      ),
      command(
        'registry show',
        'print one object of the registry',
        async () => (await import('./policy/registry-objects.ts')).registryShowCommand,
      ),
      command(
        'registry move',
        'take an agent, resource or service a step along its life',
        async () => (await import('./policy/registry-objects.ts')).registryMoveCommand,
      ),
      command(
        'registry export',
        'print the registry as one policy document',
        async () => (await import('./policy/registry-export.ts')).registryExportCommand,
      ),
      command(
        'registry import',
        'put a policy document in place of what was written over the admin API',
        async () => (await import('./policy/registry-import.ts')).registryImportCommand,
      ),
      command(
        'health',
        'whether the broker would issue a token now, check by check',
        async () => (await import('./broker/health.ts')).healthCommand,
      ),
      command(
        'sessions',
        'list the newest sessions, or draw one as its tree',
        async () => (await import('./sessions/sessions.ts')).sessionsCommand,
      ),
      command(
        'revoke',
        'kill a session, a hop, everything of an agent or a user, or everything',
        async () => (await import('./sessions/revoke.ts')).revokeCommand,
      ),
      command(
        'lift',
        'lift a block, so that new sessions become possible',
        async () => (await import('./sessions/lift.ts')).liftCommand,
      ),
      command(
        'blocks',
        'list what stands blocked: agents, users, agents for a user',
        async () => (await import('./sessions/blocks.ts')).blocksCommand,
      ),
      command('audit', 'show the newest audit records', async () => (await import('./records/audit.ts')).auditCommand),
      command(
        'review',
        'who may what and does not use it, what ends, who is missing',
        async () => (await import('./records/review.ts')).reviewCommand,
      ),
      command(
        'report architecture',
        'one page: which servers, whose, who reaches them, whose identity flows through',
        async () => (await import('./records/report-architecture.ts')).reportArchitectureCommand,
      ),
      command(
        'drill revoke',
        'revoke a token of the drill’s own, and measure how fast every broker calls it dead',
        async () => (await import('./sessions/drill-revoke.ts')).drillRevokeCommand,
      ),
      command(
        'reach',
        'say which tools an agent could be given now, and what refuses it the others',
        async () => (await import('./policy/reach.ts')).reachCommand,
      ),
      command(
        'decisions',
        'list recorded decisions of the policy, by agent, user, resource or reason',
        async () => (await import('./records/decisions.ts')).decisionsCommand,
      ),
      command(
        'explain',
        'say why a request was allowed or refused, and the smallest change that would allow it',
        async () => (await import('./records/explain.ts')).explainCommand,
      ),
      command(
        'challenges',
        'list what the policy refuses again and again',
        async () => (await import('./records/challenges.ts')).challengesCommand,
      ),
      command(
        'challenges resolve',
        'grant the least that resolves one of them, for hours; shows it first',
        async () => (await import('./records/challenges-resolve.ts')).challengesResolveCommand,
      ),
      command(
        'replay',
        'make a recorded decision again',
        async () => (await import('./records/replay.ts')).replayCommand,
      ),
      command(
        'admin token',
        'mint a short-lived management token on the broker’s own machine',
        async () => (await import('./keys/admin-token.ts')).adminTokenCommand,
      ),
      command('keys', 'list signing keys and their states', async () => (await import('./keys/keys.ts')).keysCommand),
      command(
        'keys rotate',
        'announce the successor of a signing key',
        async () => (await import('./keys/keys-rotate.ts')).keysRotateCommand,
      ),
      command(
        'keys kill',
        'kill a signing key: everything it signed is dead at once',
        async () => (await import('./keys/keys-kill.ts')).keysKillCommand,
      ),
      command(
        'backup',
        'copy the embedded store to a file, while the broker runs',
        async () => (await import('./broker/backup.ts')).backupCommand,
      ),
      command(
        'restore',
        'make the embedded store of a backup; everything issued before is dead',
        async () => (await import('./broker/restore.ts')).restoreCommand,
      ),
    ],
  },
]

export const COMMANDS: readonly CommandEntry[] = GROUPS.flatMap(({ commands }) => commands)
