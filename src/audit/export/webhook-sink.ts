/**
 * A signed webhook (Standard Webhooks 1.0). One message for a batch of records, or for one record where the batch is one: then
 * its type is the record's event, for receivers that are called to act.
 *
 * A message has the id of what is in it: sent again, it is the same message.
 */
import { type DeliveryParts, deliver, type SinkAddress } from './deliver.ts'
import type { Alarm, Delivery, ExportedRecord, ExportGap, Sink } from './sink.ts'
import { signatures } from './webhook-secrets.ts'

export interface WebhookAddress extends SinkAddress {
  readonly name: string
  /** Absolute path of the file with its secrets. */
  readonly secretFile: string
  /** Records are sent one by one, each as the event that it is. */
  readonly isByEvent: boolean
}

interface Message {
  readonly id: string
  readonly type: string
  /** JSON text. */
  readonly data: string
}

export class WebhookSink implements Sink {
  readonly #address: WebhookAddress
  readonly #parts: DeliveryParts

  constructor(address: WebhookAddress, parts: DeliveryParts) {
    this.#address = address
    this.#parts = parts
  }

  sendRecords(records: readonly ExportedRecord[]): Promise<Delivery> {
    const first = records[0]?.index ?? 0
    const last = records.at(-1)?.index ?? first
    const rows = records.map(({ index, text }) => `{"index":${index},"record":${text}}`)
    const [only] = rows
    const type = records[0]?.record.event
    if (this.#address.isByEvent && only !== undefined && type !== undefined) {
      return this.#send({ id: this.#id(`${first}`), type, data: only })
    }
    const data = `{"first":${first},"last":${last},"records":[${rows.join(',')}]}`
    return this.#send({ id: this.#id(`${first}_${last}_${records.length}`), type: 'audit.records', data })
  }

  sendGap({ first, records, why }: ExportGap): Promise<Delivery> {
    const data = JSON.stringify({ first, records, why })
    return this.#send({ id: this.#id(`gap_${first}_${records}`), type: 'audit.gap', data })
  }

  sendAlarm({ event, detail, by, atMs }: Alarm): Promise<Delivery> {
    const data = JSON.stringify({ detail, broker: by, at: new Date(atMs).toISOString() })
    return this.#send({ id: this.#id(`${event}_${by}_${atMs}`), type: event, data })
  }

  #id(of: string): string {
    return `msg_${this.#address.name}_${of}`
  }

  async #send({ id, type, data }: Message): Promise<Delivery> {
    const { nowMs, failed } = this.#parts
    const now = nowMs()
    const timestamp = Math.floor(now / 1000)
    const body = `{"type":${JSON.stringify(type)},"timestamp":"${new Date(now).toISOString()}","data":${data}}`
    let signature: string
    try {
      signature = await signatures(this.#address.secretFile, { id, timestamp, body })
    } catch (error) {
      failed(error)
      return { kind: 'not_taken', why: 'secret', retryAfterMs: undefined }
    }
    const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signature }
    return deliver(this.#address, { headers, body }, this.#parts)
  }
}
