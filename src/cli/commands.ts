/** Every command there is, in the order help lists them; the code of each is read when it is run. */
import { type CommandEntry, command, type Group } from './command.ts'
import { OPERATOR_COMMANDS } from './operator-commands.ts'

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
        'policy shadow',
        'run a draft of the policy in shadow: what it would answer is on record, and decides nothing',
        async () => (await import('./policy/policy-shadow.ts')).policyShadowCommand,
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
        'witness',
        'run a witness, which co-signs the audit logs of brokers as long as they only grow',
        async () => (await import('./witness/witness-command.ts')).witnessCommand,
      ),
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
        'scan',
        'read an MCP server’s tools, propose what each may do, pin them, and tell later what has changed',
        async () => (await import('./scan/scan-command.ts')).scanCommand,
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
        'proxy',
        'listen on this machine for clients that cannot get tokens, and call an MCP server with fresh ones',
        async () => (await import('./proxy/proxy-command.ts')).proxyCommand,
      ),
      command(
        'headers',
        'print a fresh token as HTTP headers, for clients that run a command for them',
        async () => (await import('./agent/headers.ts')).headersCommand,
      ),
      command(
        'proof',
        'sign a DPoP proof for one request with a bound token',
        async () => (await import('./agent/proof.ts')).proofCommand,
      ),
      command(
        'sessions close',
        'end a session it opened, or what it has passed on to a sub-agent',
        async () => (await import('./agent/sessions-close.ts')).sessionsCloseCommand,
      ),
      command(
        'inspect',
        'draw a token: chain, authority, time left, what would kill it',
        async () => (await import('./agent/inspect.ts')).inspectCommand,
      ),
    ],
  },
  OPERATOR_COMMANDS,
]

export const COMMANDS: readonly CommandEntry[] = GROUPS.flatMap(({ commands }) => commands)
