/** `bench audit`: what the audit costs an exchange and a record, and how long it takes to find records among a million. */
import { type AuditCostOptions, auditCost } from './audit-cost.ts'
import { auditQueries } from './audit-queries.ts'
import { environment } from './figures.ts'
import { goalTable, type Output } from './output.ts'

export async function audit(options: AuditCostOptions & { readonly records: number }, output: Output) {
  const cost = await auditCost(options, output)
  const queries = await auditQueries(options.records, output)
  const goals = { ...cost.goals, ...queries.goals }
  output.say(goalTable(goals))
  return { bench: 'audit', environment: environment(), ...cost, queries, goals }
}
