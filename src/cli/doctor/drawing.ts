/** A diagnosis as people read it: what it is, step by step, and what to do about the first step that refuses. */
import { printable, type Styles } from '../terminal.ts'
import type { Diagnosis, StepReport } from './diagnosis.ts'

const MARKS: Readonly<Record<StepReport['state'], string>> = { passed: '✓', refused: '✗', 'not reached': '·' }

export function drawDiagnosis(diagnosis: Diagnosis, styles: Styles): string {
  const { kind, role, accepted, principal, notes, steps, refused, others, not_looked_at: unseen } = diagnosis
  const { bold, dim, good, bad, accent } = styles
  const width = Math.max(...steps.map(({ step }) => step.length))
  const colour = { passed: good, refused: bad, 'not reached': dim }
  return [
    `${bold(kind)}, ${printable(role)}: ${accepted ? good('accepted') : bad('refused')}`,
    ...(principal === undefined ? [] : [`  it would be ${bold(printable(principal))}`]),
    ...notes.map((note) => `  ${printable(note)}`),
    '',
    ...steps.map(({ step, state, found }) => {
      const text = state === 'not reached' ? dim('not reached') : printable(found ?? '')
      return `  ${colour[state](MARKS[state])} ${step.padEnd(width)}  ${text}`.trimEnd()
    }),
    ...(refused === null
      ? []
      : [
          '',
          `${bad(refused.reason)}: ${printable(refused.description)}`,
          ...refused.missing.map((line) => `  ${dim('missing')}  ${printable(line)}`),
          ...refused.advice.map((line) => `  ${accent('→')} ${printable(line)}`),
        ]),
    ...(others.length === 0 ? [] : ['', dim('Other ways to take it')]),
    ...others.map((other) => `  ${printable(other.kind)}, ${printable(other.role)}: ${printable(other.ended)}`),
    ...(unseen.length === 0 ? [] : ['', dim(`Not looked at: ${unseen.join('; ')}.`)]),
    '',
  ].join('\n')
}
