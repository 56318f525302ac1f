/**
 * A server that was called, against everybody it acts for: confused deputies, tokens passed through, laundering by way of the next
 * server, and what is left once something above it was ended (MCP Security Best Practices, token passthrough; H43, H51; R121, R122).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { ARCHIVE, called, onward, onwardRegistry, VAULT } from '../support/downstream.ts'
import { details, granted, intent, kill, managementToken, refused, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidDetails, invalidRequest, invalidScope, invalidTarget } from '../support/refusal.ts'
import { SLACK, startWorld, TYPE, WAREHOUSE, WIKI, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: onwardRegistry(idp) })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const presenter = invalidRequest('subject_token_presenter')

describe('an access token is presented by nobody but its server', () => {
  test.each(['orchestrator', 'researcher', 'orchestrator-twin'])('not by agent %s', async (agent) => {
    const { inbound } = await called(world)
    await refused(world, () => onward(world, inbound.token, {}, agent), presenter)
  })

  test.each(['slack-server', 'wiki-server', 'vault-server'])('not by %s, though it is a server too', async (server) => {
    const { inbound } = await called(world)
    await refused(world, () => onward(world, inbound.token, { resource: ARCHIVE }, server), presenter)
  })

  test('as no other kind of token', async () => {
    const { inbound, session } = await called(world)
    for (const subject_token_type of [TYPE.session, TYPE.jwt, TYPE.id, TYPE.delegation]) {
      await refused(world, () => onward(world, inbound.token, { subject_token_type }), {
        status: 400,
        error: 'unauthorized_client',
        reason: 'grant_type_not_allowed',
      })
    }
    // Signed by a key that signs no access token.
    await refused(world, () => onward(world, session.token), invalidRequest('subject_token_signature'))
  })

  test('for no session, no delegation and no assertion', async () => {
    const { inbound } = await called(world)
    for (const requested_token_type of [TYPE.session, TYPE.delegation]) {
      await refused(
        world,
        () => onward(world, inbound.token, { requested_token_type }),
        invalidRequest('requested_token_type_unsupported'),
      )
    }
  })

  test('and an API token, which is in no session, by nobody at all', async () => {
    const api = await world.apiToken('warehouse-server', 'evaluate')
    await refused(world, () => onward(world, api), presenter)
  })

  test('nor by a server whose entry does not let it exchange anything', async () => {
    const silent = await startWorld({
      issuer: idp,
      registry: onwardRegistry(idp, (service) => ({ ...service, grant_types: ['client_credentials'] })),
    })
    try {
      const { inbound } = await called(silent)
      await refused(silent, () => onward(silent, inbound.token), {
        status: 400,
        error: 'unauthorized_client',
        reason: 'grant_type_not_allowed',
      })
    } finally {
      await silent.close()
    }
  })

  test('one JWT fills one slot: it is no actor token as well', async () => {
    const { inbound } = await called(world)
    const twice = { actor_token: inbound.token, actor_token_type: TYPE.jwt }
    await refused(world, () => onward(world, inbound.token, twice), invalidRequest('actor_token_unacceptable'))
  })
})

test('the inbound token itself is worth nothing at the next server: its audience is another', async () => {
  const { inbound } = await called(world)
  const next = createVerifier({
    issuer: world.issuer,
    resource: SLACK,
    door: async ({ url }) => (await world.broker.app.request(new URL(url).pathname)).text(),
    clock: world.clock,
  })
  await expect(next.verify(inbound.token)).rejects.toMatchObject({
    kind: 'invalid',
    message: 'the token was made for another resource',
  })
  const { token } = await granted(onward(world, inbound.token))
  await expect(next.verify(token)).resolves.toMatchObject({ clientId: 'warehouse-server', subject: 'user:corp:alice' })
})

describe('a server is given no more than the hop it was called from holds', () => {
  test('not at a resource outside the session, nor at one it may not go on to', async () => {
    const { inbound } = await called(world)
    await refused(
      world,
      () => onward(world, inbound.token, { resource: WIKI }),
      invalidTarget('resource_not_in_session'),
    )
    const { record } = await refused(
      world,
      () => onward(world, inbound.token, { resource: VAULT }),
      invalidScope('nothing_granted'),
    )
    expect(record.missing).toEqual(['read_secret at vault: not in the manifest of service warehouse-server'])
  })

  test('not itself again, nor a server that the chain has come through', async () => {
    const { inbound } = await called(world)
    const cycle = invalidRequest('actor_chain_cycle')
    await refused(world, () => onward(world, inbound.token, { resource: WAREHOUSE }), cycle)
    const { token } = await granted(onward(world, inbound.token))
    await refused(world, () => onward(world, token, { resource: WAREHOUSE }, 'slack-server'), cycle)
    await refused(world, () => onward(world, token, { resource: SLACK }, 'slack-server'), cycle)
  })

  test('not wider than the intent, however its own manifest reads', async () => {
    const { inbound } = await called(world)
    const wider = tools(SLACK, { post_message: { channel: { enum: ['#finance', '#ops'] }, text: {} } })
    const asked = { authorization_details: details(wider) }
    await refused(world, () => onward(world, inbound.token, asked), invalidDetails('details_widening'))
    const unnamed = { authorization_details: details(tools(SLACK, { list_channels: {} })) }
    await refused(world, () => onward(world, inbound.token, unnamed), invalidDetails('details_widening'))
  })

  test('and declares no intent of its own', async () => {
    const { inbound } = await called(world)
    const declared = { authorization_details: details(intent(), tools(SLACK, { post_message: {} })) }
    await refused(world, () => onward(world, inbound.token, declared), invalidDetails('intent_unexpected'))
  })

  test('R121 nor with a token that a low-privileged agent has called it with', async () => {
    const { session } = await called(world)
    const low = [intent(), tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 1 } } })]
    const delegated = await granted(world.delegate(session.token, { authorization_details: details(...low) }))
    const accepted = await granted(world.accept(delegated.token))
    const access = await granted(world.continue(accepted.token, {}, 'researcher'))
    for (const resource of [SLACK, ARCHIVE, VAULT]) {
      await refused(world, () => onward(world, access.token, { resource }), invalidTarget('resource_not_in_session'))
    }
  })

  test('and each server on the way counts: what one may not do, those behind it may not do for it', async () => {
    const { inbound } = await called(world)
    const { token } = await granted(onward(world, inbound.token))
    const store = { resource: ARCHIVE, authorization_details: details(tools(ARCHIVE, { store: {} })) }
    await refused(world, () => onward(world, token, store, 'slack-server'), invalidDetails('details_widening'))
    const find = await granted(onward(world, token, { resource: ARCHIVE }, 'slack-server'))
    expect(find.claims.authorization_details).toEqual([tools(ARCHIVE, { find: {} })])
  })
})

describe('dies with whatever is above it', () => {
  const dead = async (
    end: (ids: { session: string; inbound: string; sid: string; node: string; jti: string }) => Promise<unknown>,
  ) => {
    const fresh = await startWorld({ issuer: idp, registry: onwardRegistry(idp) })
    try {
      const { session, inbound } = await called(fresh)
      const next = await granted(onward(fresh, inbound.token))
      const third = await granted(onward(fresh, next.token, { resource: ARCHIVE }, 'slack-server'))
      const alive = async () =>
        Promise.all([
          fresh.introspect(next.token, 'slack-server'),
          fresh.introspect(third.token, 'archive-server'),
        ]).then((answers) => answers.map(({ body }) => body.active))
      expect(await alive()).toEqual([true, true])
      current = fresh
      await end({
        session: session.token,
        inbound: inbound.token,
        sid: session.claims.sid,
        node: inbound.claims.anc[0],
        jti: inbound.claims.jti,
      })
      expect(await alive()).toEqual([false, false])
      const again = await onward(fresh, inbound.token)
      expect([again.status, again.body.access_token]).toEqual([400, undefined])
      const further = await onward(fresh, next.token, { resource: ARCHIVE }, 'slack-server')
      expect([further.status, further.body.access_token]).toEqual([400, undefined])
    } finally {
      await fresh.close()
    }
  }
  let current: World

  test('the inbound token, and its revoke names the hops below it', () =>
    dead(async ({ inbound }) => {
      const { body } = await current.revoke(inbound)
      expect(body.revoked.hops.map(({ agent, tokens }: { agent: string; tokens: number }) => [agent, tokens])).toEqual([
        ['orchestrator', 1],
        ['warehouse-server', 1],
        ['slack-server', 1],
      ])
    }))
  test('the session', () => dead(({ session }) => current.revoke(session)))
  test('the hop it hangs from', () => dead(({ sid, node }) => kill(current, { dimension: 'node', session: sid, node })))
  test('the agent', () => dead(() => kill(current, { dimension: 'agent', agent: 'orchestrator' })))
  test('the agent’s version', () =>
    dead(() => kill(current, { dimension: 'agent_version', agent: 'orchestrator', version: '1' })))
  test('the user', () => dead(() => kill(current, { dimension: 'user', user: 'user:corp:alice' })))
  test('the user’s use of the agent', () =>
    dead(() => kill(current, { dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator' })))
  test('the server’s own client, and its kill names the hops of it', () =>
    dead(async () => {
      const report = await kill(current, { dimension: 'agent', agent: 'warehouse-server' })
      expect(report.hops.map(({ agent }: { agent: string }) => agent)).toEqual(['warehouse-server', 'slack-server'])
    }))
})

test('the resource of the server: its inbound tokens go nowhere any more; what they have become elsewhere needs its client cut off', async () => {
  const fresh = await startWorld({ issuer: idp, registry: onwardRegistry(idp) })
  try {
    const { inbound } = await called(fresh)
    const next = await granted(onward(fresh, inbound.token))
    await kill(fresh, { dimension: 'resource', resource: 'warehouse' })
    await refused(fresh, () => onward(fresh, inbound.token), invalidRequest('subject_token_revoked'))
    expect((await fresh.introspect(next.token, 'slack-server')).body.active).toBe(true)
    await kill(fresh, { dimension: 'agent', agent: 'warehouse-server' })
    expect((await fresh.introspect(next.token, 'slack-server')).body).toEqual({ active: false })
  } finally {
    await fresh.close()
  }
})

test('a user who ends the hop of a server keeps it from going on for them, whatever token comes next', async () => {
  const fresh = await startWorld({ issuer: idp, registry: onwardRegistry(idp) })
  try {
    const { session, inbound } = await called(fresh)
    await granted(onward(fresh, inbound.token))
    const hop = `/sessions/${session.claims.sid}/nodes/${inbound.claims.jti}`
    const ended = await fresh.bearer(hop, fresh.userToken(), 'DELETE')
    expect(ended.status, JSON.stringify(ended.body)).toBe(200)
    const another = await granted(fresh.continue(session.token))
    await refused(fresh, () => onward(fresh, another.token), invalidRequest('principal_blocked'))
  } finally {
    await fresh.close()
  }
})

describe('while it is being minted', () => {
  test.each([
    ['the token', ({ inbound }: Ended) => inbound],
    ['its session', ({ session }: Ended) => session],
  ])('%s is ended: nothing is given out', async (_what, which) => {
    const { session, inbound } = await called(world)
    const { sessions } = world.broker.store
    const commit = sessions.commit
    let ended = 0
    // Everything is decided and signed; the revoke comes first to the session's slot.
    sessions.commit = async (wanted) => {
      sessions.commit = commit
      ended = (await world.revoke(which({ session: session.token, inbound: inbound.token }))).status
      return commit.call(sessions, wanted)
    }
    const answer = await onward(world, inbound.token)
    expect(ended).toBe(200)
    expect([answer.status, answer.body.access_token]).toEqual([400, undefined])
    expect(['node_revoked', 'session_not_issuing']).toContain(answer.body.error_reason)
  })
})

interface Ended {
  readonly session: string
  readonly inbound: string
}

test('a narrower manifest of the server ends what it was given by the wider one', async () => {
  const fresh = await startWorld({ issuer: idp, registry: onwardRegistry(idp) })
  try {
    const { inbound } = await called(fresh)
    const next = await granted(onward(fresh, inbound.token))
    const document = onwardRegistry(idp, (service) => ({ ...service, manifest: [] }))
    const published = await fresh.bearer('/admin/v1/policy', await managementToken(fresh), 'POST', {
      files: [{ name: 'world.yaml', document }],
    })
    expect(published.status, JSON.stringify(published.body)).toBe(200)
    expect((await fresh.introspect(next.token, 'slack-server')).body).toEqual({ active: false })
    const again = await granted(fresh.continue((await called(fresh)).session.token))
    expect((await onward(fresh, again.token)).body.error_reason).toBe('nothing_granted')
  } finally {
    await fresh.close()
  }
})
