/** The log is not as it was written: it is refused as it is, and never written over. */

export class DamagedLog extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'DamagedLog'
  }
}
