/** The registered keys that could have signed a JWT of a client's: its inline ones, and those it publishes. */
import { decodeJwt } from '../../jose/decode-jws.ts'
import { KeySet } from '../../jose/key-set.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Client, ClientKey } from '../../model/client.ts'
import type { ClientKeys } from '../../net/client-keys.ts'

/**
 * A key that the operator has written is taken before any that is published under its name, and without asking the network.
 * Where two published sets answer to one name nobody can say which version is acting, so neither does.
 * @throws JwtError where the JWT's header cannot be read; Rejection `client_keys_unavailable` where the key may be in a set
 * that cannot be read
 */
export async function keysOf(client: Client, token: Secret, published: Pick<ClientKeys, 'keysFor'>) {
  if (client.keySets.length === 0) return client.keys
  const { kid, alg } = decodeJwt(token).header
  if (kid !== undefined && KeySet.of(client.keys).select(kid, alg) !== undefined) return client.keys
  const read = await Promise.allSettled(
    client.keySets.map(async (set): Promise<ClientKey[]> => {
      const key = (await published.keysFor(client, set, { kid, alg })).select(kid, alg)
      return key === undefined ? [] : [{ ...key, version: set.version }]
    }),
  )
  const found = read.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []))
  const failed = read.find((outcome) => outcome.status === 'rejected')
  // Without a name the missing set could hold a second candidate: then there is no sole key.
  if (failed !== undefined && (found.length === 0 || kid === undefined)) throw failed.reason
  const candidates = kid === undefined ? [...client.keys, ...found] : found
  return candidates.length === 1 ? candidates : []
}
