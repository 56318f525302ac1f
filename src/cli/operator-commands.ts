/** The commands of whoever runs a broker, in the order help lists them. */
import { command, type Group } from './command.ts'

export const OPERATOR_COMMANDS: Group = {
  title: 'As an operator, on the broker’s own machine or signed in (--admin)',
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
      'sessions halted',
      'list sessions that were contracted or halted for what their agents asked',
      async () => (await import('./sessions/sessions-review.ts')).sessionsHaltedCommand,
    ),
    command(
      'sessions resume',
      'let a halted or contracted session go on',
      async () => (await import('./sessions/sessions-review.ts')).sessionsResumeCommand,
    ),
    command(
      'sessions revoke',
      'end a session for good, with a reason on record',
      async () => (await import('./sessions/sessions-review.ts')).sessionsRevokeCommand,
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
    command(
      'audit',
      'find audit records by whom, what, where and when, or follow them',
      async () => (await import('./audit/audit.ts')).auditCommand,
    ),
    command(
      'audit story',
      'tell one piece of work on one page: prompt, exchanges, decisions, calls, ends',
      async () => (await import('./audit/audit-story.ts')).auditStoryCommand,
    ),
    command(
      'audit chain',
      'go from a token back to the person, hop by hop: what each could do, and tried',
      async () => (await import('./audit/audit-chain.ts')).auditChainCommand,
    ),
    command(
      'audit called',
      'say which agent called a tool, when, for whom',
      async () => (await import('./audit/audit-calls.ts')).auditCalledCommand,
    ),
    command(
      'audit destructive',
      'say whether a destructive call succeeded',
      async () => (await import('./audit/audit-calls.ts')).auditDestructiveCommand,
    ),
    command(
      'audit personal',
      'say which calls may have carried personal data',
      async () => (await import('./audit/audit-calls.ts')).auditPersonalCommand,
    ),
    command(
      'audit who',
      'say whether it was an agent by itself, or an agent for a person',
      async () => (await import('./audit/audit-calls.ts')).auditWhoCommand,
    ),
    command(
      'audit access',
      'report who had access to which server, through which agents',
      async () => (await import('./audit/audit-access.ts')).auditAccessCommand,
    ),
    command(
      'audit export',
      'the audit log as JSON lines, from where an earlier export ended',
      async () => (await import('./audit/export.ts')).auditExportCommand,
    ),
    command(
      'audit verify',
      'walk the whole audit log, and name the first record that is not as it was',
      async () => (await import('./audit/verify.ts')).auditVerifyCommand,
    ),
    command(
      'audit continue',
      'go on with an audit log whose end is lost for good, with a reason, under another name',
      async () => (await import('./audit/continue.ts')).auditContinueCommand,
    ),
    command(
      'audit receipt',
      'the proof that the audit log has a record',
      async () => (await import('./audit/receipt.ts')).auditReceiptCommand,
    ),
    command(
      'audit verify-receipt',
      'check the receipt of a record, with no broker and no network',
      async () => (await import('./audit/verify-receipt.ts')).verifyReceiptCommand,
    ),
    command(
      'audit show',
      'read what was captured with a record, with a reason',
      async () => (await import('./audit/audit-captured.ts')).auditShowCommand,
    ),
    command(
      'audit search-captured',
      'find which captured prompts, arguments, responses or traces hold a text',
      async () => (await import('./audit/audit-captured.ts')).auditSearchCapturedCommand,
    ),
    command(
      'audit erase',
      'destroy the keys of what was captured with a record',
      async () => (await import('./audit/audit-captured.ts')).auditEraseCommand,
    ),
    command(
      'audit rekey',
      'wrap what was captured under the newest key-encryption key',
      async () => (await import('./audit/audit-rekey.ts')).auditRekeyCommand,
    ),
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
      'revoke sessions of the drill’s own, and measure how soon no verifier takes a token of them',
      async () => (await import('./drill/drill-revoke.ts')).drillRevokeCommand,
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
      'approvals',
      'list the calls that wait for a person to approve them',
      async () => (await import('./approvals/approvals.ts')).approvalsCommand,
    ),
    command(
      'approve',
      'show one of them with its arguments; with --reason say yes, with --deny no',
      async () => (await import('./approvals/approve.ts')).approveCommand,
    ),
    command(
      'replay',
      'make a recorded decision again',
      async () => (await import('./records/replay.ts')).replayCommand,
    ),
    command(
      'admin login',
      'sign in with your identity provider’s token, to work from any machine',
      async () => (await import('./keys/admin-login.ts')).adminLoginCommand,
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
      'keys rotate-content',
      'make a key-encryption key for what the audit captures',
      async () => (await import('./keys/keys-rotate-content.ts')).keysRotateContentCommand,
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
}
