/** A log of records in memory as exporters read one, with documents beside it and a clock that stands until it is moved. */
import type { ExportedRecord, ExportGap, ExportSlice, ExportSource } from '../../src/audit/export/sink.ts'
import type { AuditRecord } from '../../src/model/audit-record.ts'
import type { DocumentStore } from '../../src/store/ports.ts'

const BEGAN_MS = Date.UTC(2026, 10, 22)

export class ExportLog implements ExportSource {
  readonly records: ExportedRecord[] = []
  prunedTo = 0
  readonly damaged = new Set<number>()

  add(count: number, more: Partial<AuditRecord> = {}): void {
    for (let each = 0; each < count; each += 1) {
      const index = this.records.length
      const at = new Date(BEGAN_MS + index).toISOString()
      const said = { event: 'token.continue', outcome: 'granted', by: 'agent:orchestrator', by_class: 'agent' } as const
      const record: AuditRecord = { id: `dec_${index}`, at, ...said, ...more }
      this.records.push({ index, record, text: JSON.stringify(record) })
    }
  }

  async from(index: number, limit: number): Promise<ExportSlice> {
    const next = Math.min(index + limit, this.records.length)
    const kept = (at: number) => at >= this.prunedTo && !this.damaged.has(at)
    const entries = this.records.slice(index, next).filter((record) => kept(record.index))
    const pruned = Math.min(this.prunedTo, next) - index
    const gaps: ExportGap[] = pruned > 0 ? [{ why: 'pruned', first: index, records: pruned }] : []
    for (const first of this.damaged)
      if (first >= index && first < next) gaps.push({ why: 'damaged', first, records: 1 })
    return { entries, next, gaps }
  }

  async size(): Promise<number> {
    return this.records.length
  }
}

export class MemoryDocuments implements DocumentStore {
  readonly texts = new Map<string, string>()

  async read(name: string): Promise<string | undefined> {
    return this.texts.get(name)
  }

  async replace(name: string, expected: string | undefined, text: string): Promise<boolean> {
    if (this.texts.get(name) !== expected) return false
    this.texts.set(name, text)
    return true
  }
}

export class Standing {
  ms = BEGAN_MS + 60_000
  readonly ticks = { ticksMs: () => this.ms }
  readonly nowMs = () => this.ms
}
