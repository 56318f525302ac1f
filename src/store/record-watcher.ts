/** Records that a store has acknowledged, told to whoever remembers them in case its servers lose them. */
import type { Content } from '../model/commit.ts'

/** A record that this process was told is written, and that a server may lose all the same. */
export interface AcknowledgedRecord {
  readonly outbox: string
  readonly position: string
  /** As `append` takes it; `undefined`: it is one of strangers' refusals. */
  readonly key: string | undefined
  readonly record: string
  readonly contents: readonly Content[]
}

/** The text of the record that was acknowledged at this position of an outbox; `undefined`: it is not remembered. */
export type KnownRecords = (outbox: string, position: string) => string | undefined

export interface RecordWatcher {
  acknowledged(record: AcknowledgedRecord): void
  /** A server came back, or another has taken its place: it may lack what was acknowledged. */
  doubted(): void
}
