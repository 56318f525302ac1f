import type { LoggedRecord } from '../../src/audit/log/bodies.ts'

/** The row of a record in a bundle, by what `bodies.ts` says of it and by none of its code. */
export function recordRow({ salt, outbox, position, text }: LoggedRecord): Buffer {
  const behindLengths = [outbox, position, text].flatMap((one) => {
    const bytes = Buffer.from(one)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return [length, bytes]
  })
  return Buffer.concat([salt, ...behindLengths])
}
