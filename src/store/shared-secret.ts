/** A random text that all brokers of a store agree on: made by whoever comes first, and the same from then on. */
import { randomBytes } from 'node:crypto'
import { Secret } from '../kernel/secret.ts'
import type { DocumentStore } from './ports.ts'

const SECRET_BYTES = 32

/** @param name of the document that keeps it. @throws StoreUnavailable */
export async function sharedSecret(documents: DocumentStore, name: string): Promise<Secret> {
  const known = await documents.read(name)
  if (known !== undefined) return new Secret(known)
  const made = randomBytes(SECRET_BYTES).toString('base64url')
  if (await documents.replace(name, undefined, made)) return new Secret(made)
  const won = await documents.read(name)
  if (won === undefined) throw new Error('a secret of this store is there and is not')
  return new Secret(won)
}
