/**
 * What work was about, kept beside its record for those who investigate: what a user said, what a tool was called with, what it
 * answered, what the agent thought. Off unless somebody has decided otherwise, kind by kind.
 */

export const CAPTURED_KINDS = ['prompt', 'arguments', 'response', 'trace'] as const
export type CapturedKind = (typeof CAPTURED_KINDS)[number]

/** `digest`: what it was can be proven by whoever has it, and is not kept; `sealed`: kept encrypted, and read with a reason. */
export const CAPTURE_MODES = ['off', 'digest', 'sealed'] as const
export type CaptureMode = (typeof CAPTURE_MODES)[number]

export type CaptureSettings = Readonly<Record<CapturedKind, CaptureMode>>

/** Whether there has to be a key to seal with. */
export const seals = (settings: CaptureSettings): boolean => Object.values(settings).includes('sealed')

export const NOTHING_CAPTURED: CaptureSettings = Object.freeze({
  prompt: 'off',
  arguments: 'off',
  response: 'off',
  trace: 'off',
})

/**
 * How a record names what was captured: SHA-256 of the sealed text that is kept beside it, so that no key has to be there to
 * check it; or `sha256:` and a digest, and nothing is kept.
 */
export type CapturedNames = Readonly<Partial<Record<CapturedKind, string>>>

/** In front of the digest of what is not kept. */
export const DIGEST_ONLY = 'sha256:'

/** What somebody did with what was captured, and why. */
export interface Disclosure {
  /** Id of the record that it is beside; absent: of many. */
  readonly of?: string
  readonly kinds: readonly CapturedKind[]
  readonly reason: string
}
