/** A refusal as the broker explains it: the error, what is wrong, what was missing, and the id to look it up by. */
import { arrayOf, textOf } from './json-fields.ts'
import type { Styles } from './terminal.ts'

export function drawRefusal(body: Readonly<Record<string, unknown>>, styles: Styles): string {
  const reason = textOf(body['error_reason'])
  const decision = textOf(body['decision_id'])
  const error = textOf(body['error']) ?? 'error'
  const headline = reason === undefined || reason === error ? error : `${error} (${reason})`
  const description = textOf(body['error_description'])
  // Where one thing was missing, it may be all that the description says.
  const missing = arrayOf(body['missing'])
    .flatMap((line) => textOf(line) ?? [])
    .filter((line) => line !== description)
  return [
    `${styles.bad('refused')}: ${headline}`,
    `  ${description ?? 'without a description'}`,
    ...missing.map((line) => `  ${styles.dim('missing')}  ${line}`),
    ...(decision === undefined ? [] : [`  ${styles.dim('decision')} ${decision}`]),
    '',
  ].join('\n')
}
