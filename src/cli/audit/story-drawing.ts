/** A story for people: above, what it was; below, every step with its time, what happened and why it might. */
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { plural, printable, type Styles, wrapped } from '../terminal.ts'
import { gapWords } from './trail-pages.ts'

const TIME_COLUMNS = 16
/** Nobody can be kept from naming their work as somebody else's is named: then each step says of which session it is. */
const SHARED =
  'these sessions have one name because who began them gave it: whether they are one work, their agents and times tell'

export function drawStory(story: JsonObject, styles: Styles): string {
  const steps = arrayOf(story['steps']).map(jsonObject)
  const isShared = arrayOf(story['sessions']).length > 1
  const days = new Set(steps.map((step) => dayOf(step)))
  return [
    ...head(story, styles),
    ...steps.flatMap((step, n) => [
      ...(n > 0 && dayOf(step) === dayOf(steps[n - 1]) ? [] : ['', styles.bold(dayOf(step))]),
      ...drawStep(step, isShared, styles),
    ]),
    ...(days.size === 0 ? ['', 'nothing of it can be read any more'] : []),
    ...ends(story, styles),
    '',
  ].join('\n')
}

function head(story: JsonObject, { bold, dim }: Styles): readonly string[] {
  const calls = jsonObject(story['calls'])
  const count = (name: string) => numberIn(calls[name])
  const ended = (['succeeded', 'failed', 'unknown', 'untold'] as const).flatMap((name) =>
    count(name) > 0 ? [`${count(name)} ${name === 'untold' ? 'nobody has told of yet' : name}`] : [],
  )
  const facts = [
    `for ${names(story['for']) || 'nobody'}`,
    `by agent ${names(story['agents']) || 'unknown'}`,
    `set off by ${names(story['origin']) || 'unknown'}`,
    `${count('announced') === 0 ? 'no call was announced' : plural(count('announced'), 'call')}${ended.length === 0 ? '' : `: ${ended.join(', ')}`}`,
    plural(numberIn(story['refused']), 'refusal'),
  ]
  const sessions = arrayOf(story['sessions']).map(jsonObject)
  return [
    bold(`Story of ${textOf(story['txn']) ?? ''}`),
    ...wrapped(facts.join('; '), '  '),
    ...sessions.flatMap((session) => {
      const purpose = textOf(session['purpose'])
      const said = purpose === undefined ? 'what it was for is no longer known' : `“${purpose}”`
      return wrapped(`${textOf(session['session'])}: ${said}`, '  ')
    }),
    ...(sessions.length > 1 ? wrapped(SHARED, '  ').map(dim) : []),
    ...promptLines(jsonObject(story['prompt'])).map(dim),
  ]
}

function promptLines(prompt: JsonObject): readonly string[] {
  const record = textOf(prompt['record']) ?? ''
  if (prompt['kept'] === 'sealed') {
    return [`  the prompt is kept sealed: errand audit show ${record} --kind prompt --reason TEXT`]
  }
  if (prompt['kept'] === 'digest') return [`  the prompt is not kept, its digest is: ${textOf(prompt['digest'])}`]
  return ['  no prompt was captured']
}

function drawStep(step: JsonObject, isShared: boolean, { dim, good, bad, accent }: Styles): readonly string[] {
  const [event, outcome, ended] = [textOf(step['event']) ?? '', textOf(step['outcome']), textOf(step['ended'])]
  const isEnd = /^(control\.write|session\.(close|revoke|halted|contracted)|token\.revoke|approval\.denied)$/.test(
    event,
  )
  const [mark, colour] = outcome !== 'granted' ? ['✗', bad] : isEnd ? ['■', accent] : callMark(ended, { good, bad })
  const time = `${(textOf(step['at']) ?? '').slice(11, 23)}  ${mark} `
  const says = ended === undefined || event !== 'call.attempt' ? '' : ` (${endWords(ended)})`
  const [first = '', ...more] = wrapped(`${textOf(step['says']) ?? event}${says}`, time, TIME_COLUMNS)
  const kept = Object.entries(jsonObject(step['captured'])).map(
    ([kind, how]) => `${printable(kind)} kept ${textOf(how)}`,
  )
  const session = isShared ? textOf(step['session']) : undefined
  const below = [textOf(step['why']), ...kept, session, textOf(step['decision'])]
    .filter((part) => part !== undefined)
    .join('; ')
  return [
    `${dim(first.slice(0, 14))}${(colour ?? good)(mark ?? '')}${first.slice(15)}`,
    ...more,
    ...wrapped(below, ' '.repeat(TIME_COLUMNS)).map(dim),
  ]
}

function callMark(ended: string | undefined, { good, bad }: Pick<Styles, 'good' | 'bad'>) {
  return ended === undefined || ended === 'success' ? (['✓', good] as const) : (['!', bad] as const)
}

export function endWords(ended: string | undefined): string {
  if (ended === 'untold') return 'nobody has told yet how it ended'
  if (ended === 'not_announced') return 'its server asks, and does not say what it calls'
  return ended === undefined ? 'it was not allowed' : `ended: ${ended}`
}

function ends(story: JsonObject, { bad }: Styles): readonly string[] {
  const gaps = arrayOf(story['gaps']).map((gap) => gapWords(jsonObject(gap)))
  const cut = story['cut'] === true ? ['its older records are left out: there are too many for one page'] : []
  const kills = story['ends_cut'] === true ? ['not all orders of its time were looked through for what ended it'] : []
  return [...cut, ...kills, ...gaps].map((line) => bad(line))
}

function names(list: unknown): string {
  return arrayOf(list)
    .flatMap((name) => textOf(name) ?? [])
    .join(', ')
}

function dayOf(step: JsonObject | undefined): string {
  return (textOf(step?.['at']) ?? '').slice(0, 10)
}
