/** `errand audit show`, `search-captured` and `erase`: what was captured beside records, each with a reason that is on record. */
import { CAPTURED_KINDS } from '../../model/captured.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure } from '../failures.ts'
import { arrayOf, exactText, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION, type OptionSpecs } from '../options.ts'
import { writeJson } from '../output.ts'
import { TIME_OPTIONS } from './trail-options.ts'
import { gapWords } from './trail-pages.ts'

const REASON_OPTION: OptionSpecs = {
  reason: { value: 'TEXT', help: 'why: it is on record with your name' },
}
const KIND_OPTION: OptionSpecs = {
  kind: { value: 'KIND', help: `which: ${CAPTURED_KINDS.join(', ')}`, oneOf: CAPTURED_KINDS },
}
const PAGES_MAX = 100

const withReason = (args: Args) => new URLSearchParams({ reason: args.require('reason') })

export const auditShowCommand: CommandBody = {
  arguments: ['RECORD'],
  options: { ...KIND_OPTION, ...REASON_OPTION, ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand audit show dec_4VnVzJ0oQm2mXcW3l6y8aA --kind arguments --reason "INC-212: was PII sent?"'],
  notes: ['It takes the role forensics. The reading is on record, with the reason, before anything is shown.'],
  run: async (args, io) => {
    const [id = ''] = args.positionals
    const kind = args.require('kind')
    const query = withReason(args)
    const operator = await connectOperator(args)
    const answer = await operator.get(`/audit/${encodeURIComponent(id)}/captured/${kind}?${query}`)
    if (args.flag('json')) writeJson(answer, io)
    else if (answer['state'] === 'open') io.out(drawOpen(answer))
    else throw new CommandFailure(whyNot(kind, answer))
    return 0
  },
}

/** What agents and tools have said must not move the cursor of whoever reads it. */
function drawOpen(answer: JsonObject): string {
  const text = (exactText(answer['text']) ?? '').replaceAll(/[^\P{C}\n\t]/gu, '\uFFFD')
  return answer['truncated'] === true ? `${text}\n[the rest was not kept]\n` : `${text}\n`
}

function whyNot(kind: string, answer: JsonObject): string {
  switch (answer['state']) {
    case 'digest':
      return `the ${kind} was named by its digest, and not kept: ${textOf(answer['captured'])}`
    case 'erased':
      return `the ${kind} was erased: record ${textOf(answer['by'])} says by whom and why`
    case 'key_missing':
      return `the file of key-encryption key ${textOf(answer['kek'])} is not in the broker’s key directory`
    case 'unreadable':
      return `the ${kind} kept there was sealed as something else: it was exchanged, or damaged`
    default:
      return `the ${kind} is no longer kept`
  }
}

export const auditSearchCapturedCommand: CommandBody = {
  arguments: [],
  options: {
    ...KIND_OPTION,
    contains: { value: 'TEXT', help: 'what to look for, whatever its case' },
    ...REASON_OPTION,
    agent: { value: 'ID', help: 'only of this agent' },
    user: { value: 'USER', help: 'only on behalf of this user' },
    session: { value: 'SID', help: 'only of this session' },
    server: { value: 'URL', help: 'only at this server' },
    tool: { value: 'TOOL', help: 'only of calls of this tool' },
    ...TIME_OPTIONS,
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand audit search-captured --kind arguments --contains 078-05-1120 --reason "INC-212"'],
  notes: [
    'It takes the role forensics. Told is beside which records it is; errand audit show reads one. Exit code 0: it was found; 1: it was not.',
  ],
  run: async (args, io) => {
    const named = ['agent', 'user', 'session', 'server', 'tool', 'since', 'until'].flatMap((name) => {
      const value = args.text(name)
      return value === undefined ? [] : [[name, value] as const]
    })
    const wanted = { kind: args.require('kind'), contains: args.require('contains'), reason: args.require('reason') }
    const order = { ...wanted, ...Object.fromEntries(named) }
    const operator = await connectOperator(args)
    const found: JsonObject[] = []
    const counts = { searched: 0, truncated: 0, unsearched: 0 }
    const gaps = new Set<string>()
    let after: string | undefined
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const answer = await operator.post('/audit/captured/search', { ...order, ...(after && { after }) })
      found.push(...arrayOf(answer['found']).map(jsonObject))
      for (const name of ['searched', 'truncated', 'unsearched'] as const) counts[name] += Number(answer[name])
      for (const gap of arrayOf(answer['gaps'])) gaps.add(gapWords(jsonObject(gap)))
      after = textOf(answer['after'])
      if (after === undefined) break
    }
    if (args.flag('json')) writeJson({ found, ...counts, gaps: [...gaps], ...(after && { after }) }, io)
    else {
      for (const hit of found) {
        const facts = ['at', 'record', 'agent', 'user', 'resource', 'detail'].flatMap((name) => textOf(hit[name]) ?? [])
        io.out(`${facts.join('  ')}\n`)
      }
      const { searched, truncated, unsearched } = counts
      const unsure = `${truncated} of them cut, ${unsearched} that nobody can look through`
      io.out(`in ${found.length} of ${searched} looked through; ${unsure}\n`)
      for (const gap of gaps) io.out(`${io.styles.bad(gap)}\n`)
      if (after !== undefined) io.out('There are more: name a time, an agent or a server.\n')
    }
    return found.length > 0 ? 0 : 1
  },
}

export const auditEraseCommand: CommandBody = {
  arguments: ['RECORD'],
  options: { ...REASON_OPTION, ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand audit erase dec_4VnVzJ0oQm2mXcW3l6y8aA --reason "erasure request 17"'],
  notes: [
    'It takes the role security. The record and every proof stay; what was captured with it opens for nobody, once backups of the store are gone or their key-encryption key is (errand keys rotate-content, errand audit rekey).',
  ],
  run: async (args, io) => {
    const [id = ''] = args.positionals
    const query = withReason(args)
    const operator = await connectOperator(args)
    const answer = await operator.delete(`/audit/${encodeURIComponent(id)}/captured?${query}`)
    if (args.flag('json')) {
      writeJson(answer, io)
      return 0
    }
    const list = (name: string) => arrayOf(answer[name]).map(textOf).join(', ') || 'nothing'
    io.out(`${io.styles.bold('erased')}: ${list('erased')} (record ${textOf(answer['by'])})\n`)
    if (arrayOf(answer['erased_before']).length > 0) io.out(`  erased before: ${list('erased_before')}\n`)
    if (arrayOf(answer['not_kept']).length > 0) io.out(`  not kept before: ${list('not_kept')}\n`)
    return 0
  },
}
