/**
 * The four questions an incident begins with, each a command: which agent called this tool; has anything destructive succeeded;
 * was personal data in it; was it a human or an agent (R171).
 */
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION, type OptionSpecs } from '../options.ts'
import { writeJson } from '../output.ts'
import { plural } from '../terminal.ts'
import { byActor, type Calls, drawCalls, hasSucceeded, isAllowed, mayHaveSucceeded } from './calls-drawing.ts'
import { TRAIL_OPTIONS, trailQuery } from './trail-options.ts'

type Name = 'agent' | 'user' | 'tool' | 'server' | 'session' | 'txn' | 'since' | 'until'

function options(...names: readonly Name[]): OptionSpecs {
  return Object.fromEntries(names.flatMap((name) => (TRAIL_OPTIONS[name] ? [[name, TRAIL_OPTIONS[name]]] : [])))
}

const COMMON = { ...OPERATOR_OPTIONS, ...JSON_OPTION }
const WHEN = '--since 2026-11-01T14:00:00Z --until 2026-11-01T16:00:00Z'
const ANNOUNCED =
  'Calls of servers in live mode are on record with how they ended. Of a server that asks only, it is known that the call was allowed; of one that asks nobody, only which tokens it was sent: errand audit --server SERVER.'

interface Question {
  readonly options: OptionSpecs
  /** Beside what is given: how the calls are chosen. */
  readonly fixed: Readonly<Record<string, string>>
  readonly tool?: string | undefined
  /** @param among what was looked through, where that was not all: ", in …" */
  readonly answer: (calls: Calls, among: string) => readonly string[]
}

function ask(question: (args: Args) => Question): CommandBody['run'] {
  return async (args, io) => {
    const { options: named, fixed, tool, answer } = question(args)
    const query = trailQuery(args, named)
    for (const [name, value] of Object.entries(fixed)) query.set(name, value)
    if (tool !== undefined) query.set('tool', tool)
    const body = await (await connectOperator(args)).get(`/audit/calls?${query}`)
    if (args.flag('json')) writeJson(body, io)
    else io.out(drawCalls(body, answer(callsIn(body), amongWhat(body)), io.styles))
    return 0
  }
}

/** No is only no where everything could be looked at. */
function amongWhat(body: JsonObject): string {
  const isWhole = body['cut'] !== true && arrayOf(body['gaps']).length === 0
  return isWhole ? '' : ', among the records that could be looked at'
}

const callsIn = (body: JsonObject): Calls => arrayOf(body['calls']).map(jsonObject)

const CALLED = options('server', 'agent', 'user', 'since', 'until')

export const auditCalledCommand: CommandBody = {
  arguments: ['TOOL'],
  options: { ...CALLED, ...COMMON },
  examples: [`errand audit called delete_rows ${WHEN}`, 'errand audit called query --server warehouse --json'],
  notes: [ANNOUNCED],
  run: ask((args) => {
    const [tool = ''] = args.positionals
    return {
      options: CALLED,
      fixed: {},
      tool,
      answer: (calls, among) =>
        calls.length === 0 ? [`Nobody called ${tool}, and nobody was refused it${among}.`] : byActor(calls),
    }
  }),
}

const DESTRUCTIVE = options('tool', 'server', 'agent', 'user', 'session', 'txn', 'since', 'until')

export const auditDestructiveCommand: CommandBody = {
  arguments: [],
  options: { ...DESTRUCTIVE, ...COMMON },
  examples: [`errand audit destructive ${WHEN}`, 'errand audit destructive --agent researcher'],
  notes: [
    'Tools of the categories destructive and admin, as the policy had them that decided; a tool that nobody has classified counts as admin.',
    ANNOUNCED,
  ],
  run: ask(() => ({ options: DESTRUCTIVE, fixed: { category: 'destructive,admin' }, answer: sayDestroyed })),
}

function sayDestroyed(calls: Calls, among: string): readonly string[] {
  const succeeded = calls.filter(hasSucceeded)
  const open = calls.filter((call) => mayHaveSucceeded(call) && !hasSucceeded(call))
  const rest = calls.length - succeeded.length - open.length
  const first =
    succeeded.length > 0
      ? `YES: ${plural(succeeded.length, 'destructive call')} succeeded.`
      : open.length > 0
        ? 'PERHAPS: nobody has said how they ended.'
        : `NO: no destructive call is on record as one that succeeded${among}.`
  return [
    first,
    ...(open.length > 0
      ? [`${plural(open.length, 'call')} may have: allowed, and nobody has said that it failed.`]
      : []),
    ...(rest > 0 ? [`${plural(rest, 'call')} failed, or was refused.`] : []),
    ...byActor(succeeded.length > 0 ? succeeded : open),
  ]
}

export const auditPersonalCommand: CommandBody = {
  arguments: [],
  options: { ...DESTRUCTIVE, ...COMMON },
  examples: [
    `errand audit personal ${WHEN}`,
    'errand audit search-captured --kind arguments --contains alice@corp.example --reason "INC-212"',
  ],
  notes: [
    'Every call that may have carried personal data: those at servers registered as personal, and of all others those whose arguments are kept. What arguments said is kept only where capturing is on, sealed, and searched with a reason that is on record: errand audit search-captured.',
    ANNOUNCED,
  ],
  run: ask(() => ({ options: DESTRUCTIVE, fixed: {}, answer: sayPersonal })),
}

function sayPersonal(calls: Calls, among: string): readonly string[] {
  const allowed = calls.filter(isAllowed)
  const personal = allowed.filter((call) => call['personal'] === true)
  const kept = allowed.filter((call) => call['arguments'] === 'sealed')
  const unknown = allowed.filter((call) => call['personal'] !== true && call['arguments'] !== 'sealed')
  if (allowed.length === 0) return [`NO: no call was allowed${among}.`]
  return [
    personal.length > 0
      ? `YES, by where: ${plural(personal.length, 'call')} at servers registered as holding personal data.`
      : `No call was at a server registered as holding personal data${among}.`,
    ...(kept.length > 0
      ? [
          `The arguments of ${plural(kept.length, 'call')} are kept sealed: errand audit search-captured finds a text in them.`,
        ]
      : []),
    ...(unknown.length > 0 ? [`Of ${plural(unknown.length, 'call')} nobody can say: what was sent is not kept.`] : []),
    ...byActor(personal),
  ]
}

export const auditWhoCommand: CommandBody = {
  arguments: [],
  options: { ...DESTRUCTIVE, ...COMMON },
  examples: [`errand audit who --tool delete_rows ${WHEN}`, 'errand audit who --txn txn_4VnVzJ0oQm2mXcW3l6y8aA'],
  notes: [
    'Tools are called by agents only; it says for whom each worked, and whether a person had asked for it. What people did themselves: errand audit --class user, --class operator.',
  ],
  run: ask(() => ({ options: DESTRUCTIVE, fixed: {}, answer: sayWho })),
}

function sayWho(calls: Calls, among: string): readonly string[] {
  const asked = calls.filter((call) => textOf(call['on_behalf_of'])?.startsWith('user:') === true)
  const own = calls.filter((call) => !asked.includes(call))
  if (calls.length === 0) return [`Nobody: no call is on record${among}.`]
  return [
    ...(asked.length > 0
      ? [`AGENTS, for people who are named: ${plural(asked.length, 'call')}.`, ...byActor(asked)]
      : []),
    ...(own.length > 0
      ? [`AGENTS BY THEMSELVES, no person had asked: ${plural(own.length, 'call')}.`, ...byActor(own)]
      : []),
  ]
}
