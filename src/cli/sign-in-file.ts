/**
 * What `errand admin login` keeps of a sign-in, for the commands that follow: which broker, the management token, until when, and
 * the file of the key it is bound to. Its owner's only; the token goes to that broker and to no other.
 */
import { z } from 'zod'
import { Secret } from '../kernel/secret.ts'
import { timeText } from '../kernel/time-text.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { decodeObject } from './json-fields.ts'
import { PRIVATE, readPrivateFile, replaceFile } from './private-file.ts'

const written = z.strictObject({
  issuer: z.url(),
  broker: z.url(),
  token: z.string().min(1),
  /** Epoch seconds. */
  expires_at: z.int().positive(),
  dpop_key: z.string().min(1).optional(),
})

export interface SignedIn {
  /** What the broker calls itself: proofs are made for that. */
  readonly issuer: string
  /** Where it answers. */
  readonly broker: string
  readonly token: Secret
  /** Epoch seconds. */
  readonly expiresAt: number
  /** The file of the key that the token is bound to. */
  readonly dpopKey: string | undefined
}

export function writeSignIn(path: string, { issuer, broker, token, expiresAt, dpopKey }: SignedIn): Promise<void> {
  const kept: z.output<typeof written> = {
    issuer,
    broker,
    token: token.reveal(),
    expires_at: expiresAt,
    ...(dpopKey === undefined ? {} : { dpop_key: dpopKey }),
  }
  return replaceFile(path, `${JSON.stringify(kept, undefined, 2)}\n`, PRIVATE)
}

/** @param now epoch seconds. @throws UsageError where it is no such file; CommandFailure where its time is over */
export async function readSignIn(path: string, now: number): Promise<SignedIn> {
  const decoded = written.safeParse(decodeObject(await readPrivateFile(path)))
  if (!decoded.success) throw new UsageError(`${path} is not what errand admin login writes`)
  const { issuer, broker, token, expires_at: expiresAt, dpop_key: dpopKey } = decoded.data
  if (expiresAt <= now)
    throw new CommandFailure(`the sign-in in ${path} ended at ${timeText(expiresAt)}: sign in again`)
  return { issuer, broker, token: new Secret(token), expiresAt, dpopKey }
}
