import { describe, expect, test } from 'vitest'
import { drawCalls } from '../../../src/cli/audit/calls-drawing.ts'
import { drawChain } from '../../../src/cli/audit/chain-drawing.ts'
import { drawRecord } from '../../../src/cli/audit/record-drawing.ts'
import { drawStory } from '../../../src/cli/audit/story-drawing.ts'
import { jsonText } from '../../../src/cli/output.ts'
import { drawRefusal } from '../../../src/cli/refusal-drawing.ts'
import { drawKill } from '../../../src/cli/sessions/kill-drawing.ts'
import { drawSession, drawSessions } from '../../../src/cli/sessions/session-drawing.ts'
import { plainStyles } from '../../../src/cli/terminal.ts'

const NOW = 1_800_000_000
const EVIL = 'x\u001b[2Jy'

const hop = (agent: string, depth: number, tokens: number, more: object = {}) => ({
  session: 'ses_1',
  node: `nod_${agent}`,
  agent,
  depth,
  tokens,
  ...more,
})

describe('what died', () => {
  test('is told per hop, children below their parent', () => {
    const hops = [hop('a', 0, 2), hop('b', 1, 1), hop('c', 2, 0, { pending: true })]
    const answer = { revoked: { seq: 7, sessions: ['ses_1'], hops }, audit: 'recorded' }
    expect(drawKill(answer, { what: 'session revoked', tokensOnly: false }, plainStyles).split('\n')).toEqual([
      'session revoked: 3 hops, 3 access tokens',
      '  session ses_1',
      '    └─ a  2 access tokens  nod_a',
      '       └─ b  1 access token  nod_b',
      '          └─ c (had not accepted yet)  0 access tokens  nod_c',
      '  every broker refuses these tokens from now on (sequence 7, audit recorded)',
      '',
    ])
  })

  test('and not yet marked, or more than is listed, is said', () => {
    const revoked = { seq: 7, sessions: [], hops: [], unreached: ['ses_9'], truncated: true }
    const text = drawKill(
      { revoked, audit: 'recorded' },
      { what: 'x', tokensOnly: false, note: 'and this' },
      plainStyles,
    )
    expect(text).toContain('not marked yet, dead all the same: ses_9')
    expect(text).toContain('more died than is listed here')
    expect(text).toMatch(/\n {2}and this\n$/)
  })

  test('of a session that lives on, of nothing, and with a record still to come', () => {
    const part = { revoked: { seq: 7, sessions: [], hops: [hop('b', 1, 1)] }, audit: 'deferred' }
    const text = drawKill(part, { what: 'hop revoked', tokensOnly: false }, plainStyles)
    expect(text).toContain('ses_1  (the session itself lives)\n    └─ b')
    expect(text).toContain('audit deferred')
    const nothing = { revoked: { seq: 7, sessions: [], hops: [] }, audit: 'recorded' }
    expect(drawKill(nothing, { what: 'x', tokensOnly: false }, plainStyles)).toMatch(
      /^x: nothing that is listed was alive\n {2}in force at every broker \(sequence 7, audit recorded\)\n$/,
    )
    const tool = drawKill(part, { what: 'x', tokensOnly: true, living: true }, plainStyles)
    expect(tool).toContain('in force at every broker')
    expect(tool).not.toContain('refuses these tokens')
    expect(drawKill(part, { what: 'revoked', tokensOnly: true }, plainStyles)).toMatch(/^revoked: 1 access token\n/)
  })
})

describe('a refusal', () => {
  test('says the error, the reason, what was missing and the decision', () => {
    const body = {
      error: 'invalid_scope',
      error_reason: 'nothing_granted',
      error_description: 'nothing is left',
      missing: ['a grant', 'a tool'],
      decision_id: 'dec_1',
    }
    expect(drawRefusal(body, plainStyles)).toBe(
      'refused: invalid_scope (nothing_granted)\n  nothing is left\n  missing  a grant\n  missing  a tool\n  decision dec_1\n',
    )
    const twice = { error: 'not_found', error_reason: 'not_found', error_description: 'no such session' }
    expect(drawRefusal(twice, plainStyles)).toBe('refused: not_found\n  no such session\n')
    expect(drawRefusal({ error: 'invalid_client' }, plainStyles)).toContain('refused: invalid_client\n')
    const same = drawRefusal({ ...body, missing: ['nothing is left', 'a grant'] }, plainStyles)
    expect(same.match(/nothing is left/g)).toHaveLength(1)
    expect(same).toContain('missing  a grant')
  })
})

const SESSION = {
  session: 'ses_1',
  state: 'active',
  agent: 'a',
  on_behalf_of: 'user:corp:alice',
  purpose: 'Summarise',
  opened_at: NOW - 60,
  not_after: NOW + 90,
  nodes: 2,
  tokens: 1,
}

describe('sessions', () => {
  test('are listed with who, for whom, for what, and how long', () => {
    const alone = { ...SESSION, agent: 'b', on_behalf_of: 'agent:b', state: 'revoked' }
    const text = drawSessions([SESSION, alone], NOW, plainStyles)
    expect(text).toContain('ses_1  active, 1 min 30 s left\n  a for user:corp:alice: Summarise\n')
    expect(text).toContain('ses_1  revoked\n  agent:b, by itself: Summarise\n')
    expect(text).toContain('2 hops, 1 access token issued')
    expect(text).not.toContain('outside its intent')
    const drifted = { ...SESSION, state: 'halted', drift: 10 }
    expect(drawSessions([drifted], NOW, plainStyles)).toContain(', 10 asks outside its intent')
    expect(drawSessions([], NOW, plainStyles)).toBe('no sessions\n')
  })

  test.each([
    ['revoked', NOW + 90, 'revoked'],
    ['closed', NOW + 90, 'closed'],
    ['halted', NOW + 90, 'halted'],
    ['expired', NOW + 90, 'expired'],
    ['active', NOW, 'expired'],
    ['contracted', NOW + 1, 'live'],
  ])('a hop of a session that is %s, to end at %i, is drawn %s', (state, notAfter, drawn) => {
    const tree = ['live', 'pending', 'revoked'].map((own) => ({
      node: own,
      agent: own,
      state: own,
      not_after: notAfter,
    }))
    const text = drawSession({ ...SESSION, state, tree }, NOW, plainStyles)
    expect(text).toMatch(new RegExp(`live {2}${drawn} {2}`))
    expect(text).toMatch(new RegExp(`pending {2}${drawn === 'live' ? 'not accepted yet' : drawn} {2}`))
    expect(text).toContain('revoked  revoked  ')
  })

  test('are drawn as the tree of who holds what from whom', () => {
    const node = (id: string, parent: string | undefined, agent: string, state: string) => ({
      node: id,
      parent,
      agent,
      state,
      purpose: `as ${agent}`,
      origin: 'user_request',
      tokens: 1,
      calls: 0,
      authority: {
        resources: {
          'https://w.example/mcp': { scopes: ['mcp:tools:read'], tools: { query: { limit: { maximum: 5 } } } },
        },
      },
    })
    const tree = [node('n1', undefined, 'a', 'live'), node('n2', 'n1', 'b', 'pending')]
    const lines = drawSession({ ...SESSION, tree }, NOW, plainStyles).split('\n')
    expect(lines.slice(4)).toEqual([
      '  └─ a  live  1 access token, user_request  n1',
      '     ├─ “as a”',
      '     ├─ https://w.example/mcp',
      '     │  ├─ scope mcp:tools:read',
      '     │  └─ tool query',
      '     │     └─ limit: at most 5',
      '     └─ b  not accepted yet  1 access token, user_request  n2',
      '        ├─ “as b”',
      '        └─ https://w.example/mcp',
      '           ├─ scope mcp:tools:read',
      '           └─ tool query',
      '              └─ limit: at most 5',
      '',
    ])
    // A part of a tree, as a participant sees it, has a root too.
    expect(drawSession({ ...SESSION, tree: tree.slice(1) }, NOW, plainStyles)).toContain('└─ b  not accepted yet')
  })
})

describe('an audit record', () => {
  const RECORD = { at: '2026-11-21T10:00:00.000Z', outcome: 'granted', event: 'control.write', by: 'operator:carol' }
  const id = `dec_${'x'.repeat(22)}`

  test.each([
    ['{"dimension":"agent","agent":"a","block":true}', 'revoke agent a, block'],
    ['{"dimension":"agent","agent":"a","block":false}', 'revoke agent a'],
    ['{"dimension":"user","user":"user:corp:u","block":true}', 'revoke user user:corp:u, block'],
    [
      '{"dimension":"user_agent","user":"user:corp:u","agent":"a","block":false}',
      'revoke agent a for user user:corp:u',
    ],
    ['{"dimension":"session","session":"ses_1"}', 'revoke session ses_1'],
    ['{"dimension":"node","session":"ses_1","node":"n"}', 'revoke hop n of session ses_1'],
    ['{"dimension":"session_access","session":"ses_1"}', 'revoke access tokens of session ses_1'],
    ['lift {"kind":"agent","id":"a"}', 'lift agent a'],
    ['lift {"kind":"pair","id":"agent:a|a"}', 'lift pair agent:a × a'],
    ['3 hops', '3 hops'],
    ['{"dimension":"moon"}', '{"dimension":"moon"}'],
    ['lift {', 'lift {'],
  ])('says %s in words', (detail, words) => {
    const text = drawRecord({ ...RECORD, detail, id }, plainStyles)
    expect(text.replace(/\n {4}(?!dec_)/g, '  ')).toMatch(
      /^2026-11-21T10:00:00\.000Z {2}granted {2}control\.write +operator:carol {2}/,
    )
    expect(text.replace(/\n {4}(?!dec_)/g, '  ').endsWith(`  ${words}\n    ${id}\n`), text).toBe(true)
  })

  test('stays within 100 columns, loses nothing, and ends with its id on a line of its own', () => {
    const rows = Array.from({ length: 9 }, (_, index) => ['client_unknown', `10.0.0.${index}`, 12])
    const more = { on_behalf_of: `user:corp:${'u'.repeat(40)}`, resource: `https://${'r'.repeat(60)}.example/mcp` }
    const text = drawRecord({ ...RECORD, ...more, strangers: rows, reason: 'because', id }, plainStyles)
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100)
    expect(text.endsWith(`because\n    ${id}\n`)).toBe(true)
    const words = text.split(/\s+/)
    for (const word of [more.on_behalf_of, more.resource, ...rows.map(([, source]) => String(source))]) {
      expect(
        words.some((one) => one.startsWith(word)),
        word,
      ).toBe(true)
    }
  })
})

test('nothing that an agent wrote can move the cursor of whoever looks', () => {
  const evilHop = { revoked: { seq: 1, sessions: [EVIL], hops: [hop(EVIL, 0, 1)] } }
  const could = { scope: EVIL, authorization_details: [{ locations: [EVIL], tools: { [EVIL]: { [EVIL]: {} } } }] }
  const drawn = [
    drawChain({ human: EVIL, origin: EVIL, authorised: EVIL, hops: [{ agent: EVIL, could }] }, plainStyles),
    drawStory({ txn: EVIL, for: [EVIL], steps: [{ at: EVIL, says: EVIL, captured: { [EVIL]: EVIL } }] }, plainStyles),
    drawCalls(
      { calls: [{ at: EVIL, tool: EVIL, agent: EVIL, decision: EVIL }], gaps: [{ why: EVIL }] },
      [],
      plainStyles,
    ),
    drawRecord({ tool: EVIL, txn: EVIL, disclosure: { of: EVIL, kinds: [EVIL], reason: EVIL } }, plainStyles),
    drawRecord({ at: EVIL, by: EVIL, event: EVIL, outcome: EVIL, detail: EVIL, id: EVIL }, plainStyles),
    drawRecord(
      { detail: JSON.stringify({ dimension: 'agent', agent: EVIL }), strangers: [[EVIL, EVIL, 1]] },
      plainStyles,
    ),
    drawKill(evilHop, { what: 'x', tokensOnly: false }, plainStyles),
    drawRefusal({ error: EVIL, error_reason: EVIL, error_description: EVIL, missing: [EVIL] }, plainStyles),
    drawSessions([{ ...SESSION, purpose: EVIL, agent: EVIL, on_behalf_of: EVIL, state: EVIL }], NOW, plainStyles),
    drawSession(
      { ...SESSION, tree: [{ node: EVIL, agent: EVIL, purpose: EVIL, origin: EVIL, state: EVIL }] },
      NOW,
      plainStyles,
    ),
  ]
  for (const text of drawn) expect(text).not.toContain('\u001b')
})

test('a story of two sessions that were given one name says so, and of each step whose it is', () => {
  const step = {
    at: '2026-11-22T03:00:00.000Z',
    says: 'a opens',
    outcome: 'granted',
    session: 'ses_2',
    decision: 'dec_1',
  }
  const story = (...sessions: readonly string[]) =>
    drawStory({ txn: 'txn_1', sessions: sessions.map((session) => ({ session })), steps: [step] }, plainStyles)
  expect(story('ses_1', 'ses_2')).toMatch(/have one name[\s\S]*ses_2; dec_1/)
  expect(story('ses_2')).not.toMatch(/have one name|ses_2; dec_1/)
})

test('JSON is the same JSON to a program, and moves no cursor either', () => {
  const value = { [EVIL]: 'a\u009b2Jb\u202ec\u2028d\u007fe' }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for
  expect(jsonText(value)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/)
  expect(JSON.parse(jsonText(value))).toEqual(value)
})

test('a number that is an object is no number, and calls nothing that it brings along', () => {
  const evil = { toString: 1, valueOf: 1 }
  const session = { ...SESSION, opened_at: evil, not_after: evil, nodes: evil, tokens: evil }
  expect(drawSession({ ...session, tree: [] }, NOW, plainStyles)).toContain('opened at an unknown time')
  const revoked = { seq: evil, sessions: ['ses_1'], hops: [hop('a', 0, 2, { tokens: evil })] }
  expect(drawKill({ revoked, audit: evil }, { what: 'x', tokensOnly: false }, plainStyles)).toContain('0 access tokens')
  expect(drawRecord({ strangers: [['x', 'y', evil]] }, plainStyles)).toContain('NaN ×')
})
