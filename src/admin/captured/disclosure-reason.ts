/** Why somebody reads, looks through or erases what was captured: without a reason nobody does. */
import { DISCLOSURE_REASON_BYTES_MAX } from '../../kernel/capture-limits.ts'
import { Rejection } from '../../kernel/rejection.ts'

/** @throws Rejection `parameter_missing`, `parameter_malformed` */
export function disclosureReason(given: string | undefined): string {
  const reason = given?.trim() ?? ''
  if (reason === '') {
    throw new Rejection('parameter_missing', 'reason is required: why this is read is on record with who reads it')
  }
  // It stays in the record in any case, whatever else that has to hold.
  if (Buffer.byteLength(JSON.stringify(reason)) > DISCLOSURE_REASON_BYTES_MAX || !reason.isWellFormed()) {
    throw new Rejection('parameter_malformed', `reason must have at most ${DISCLOSURE_REASON_BYTES_MAX} bytes`)
  }
  return reason
}
