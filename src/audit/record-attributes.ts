/**
 * What a trace says of a request: who asked, as whom, for whom, and what became of it, by the record that is written of it.
 *
 * Guarantees: what stands in a record and is no name, id or outcome stays out of traces: other people read them.
 */
import type { AuditRecord } from '../model/audit-record.ts'
import { requestSpan } from '../model/trace.ts'
import type { Attributes } from '../protocol/otlp.ts'

/** Of the request's own span; of a further record of the same request, of a span of its own. */
export function traceRecord(record: AuditRecord): void {
  const span = requestSpan()
  if (span === undefined) return
  span.txn ??= record.txn
  if (!span.isRecorded) return
  const attributes = attributesOf(record)
  if (span.isAbout === undefined || span.isAbout === record.id) {
    span.isAbout = record.id
    span.set(attributes)
  } else {
    const further = span.child('decision', 'internal')
    further.set(attributes)
    further.end()
  }
}

/** Names of the semantic conventions where they have one (`enduser.*`, `session.id`, `client.*`); `errand.*` otherwise. */
export function attributesOf(record: AuditRecord): Attributes {
  const user = record.on_behalf_of ?? (record.by_class === 'user' ? record.by : undefined)
  return {
    'enduser.id': user,
    'enduser.role': record.user?.roles,
    'session.id': record.session,
    'errand.txn': record.txn,
    'errand.decision.id': record.id,
    'errand.event': record.event,
    'errand.outcome': record.outcome,
    'errand.reason': record.reason,
    'errand.by': record.by,
    'errand.by.class': record.by_class,
    'errand.agent.id': record.agent?.id,
    'errand.agent.version': record.agent?.version,
    'errand.agent.chain': record.chain,
    'errand.origin': record.origin,
    'errand.resource': record.resource,
    'errand.server.id': record.server?.id,
    'errand.service': record.service,
    'errand.tool': record.tool,
    'errand.scope': record.scope?.split(' '),
    'errand.policy': record.policy,
  }
}
