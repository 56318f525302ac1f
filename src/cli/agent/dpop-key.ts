/** The key of DPoP proofs that a command makes: a JWK file of its owner's only, made where there is none yet. */
import { existsSync } from 'node:fs'
import { type ProofRequest, signDpopProof } from '../../jose/sign-proof.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import type { Secret } from '../../kernel/secret.ts'
import { BrokerRefusal } from '../broker-client.ts'
import { UsageError } from '../failures.ts'
import type { OptionSpecs } from '../options.ts'
import { createFile, PRIVATE } from '../private-file.ts'
import { newClientKey, readClientKey } from './client-key.ts'

export const DPOP_KEY_OPTION: OptionSpecs = {
  'dpop-key': {
    value: 'FILE',
    help: 'bind the token to this key (RFC 9449), a JWK file of mode 600; made where there is none',
  },
}

export type MakeProof = (request: Omit<ProofRequest, 'now'>) => Promise<Secret>

/** With a new key where there is none yet. @throws UsageError */
export async function newOrOldKey(path: string): Promise<MakeProof> {
  if (!existsSync(path)) await createFile(path, newClientKey('dpop').privateText.reveal(), PRIVATE)
  return proofMaker(path)
}

/** @throws UsageError */
export async function proofMaker(path: string): Promise<MakeProof> {
  const { alg, key } = await readClientKey(path)
  if (alg !== 'ES256') throw new UsageError(`${path} is not a key for ES256, which DPoP proofs are signed with here`)
  return (request) => signDpopProof(key, { ...request, now: epochSeconds(systemClock) })
}

/**
 * Sent once more where the broker wants its nonce in the proof, with everything signed anew (RFC 9449 §8).
 * @param make `undefined`: nothing is bound, and no proof goes along
 */
export async function withProof<T>(
  make: MakeProof | undefined,
  request: Pick<ProofRequest, 'method' | 'url' | 'token'>,
  send: (proof: Secret | undefined) => Promise<T>,
): Promise<T> {
  const once = async (nonce: string | undefined) => send(await make?.({ ...request, nonce }))
  try {
    return await once(undefined)
  } catch (refusal) {
    const isAsked = make !== undefined && refusal instanceof BrokerRefusal && refusal.body['error'] === 'use_dpop_nonce'
    if (!isAsked || refusal.nonce === undefined) throw refusal
    return once(refusal.nonce)
  }
}
