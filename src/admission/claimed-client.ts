/**
 * Whom a request says it comes from, read before anything is believed: it names buckets and nothing else.
 *
 * Strangers are counted by the client's id alone: whatever else they vary, they do not get another allowance. A known client is
 * recognised by more, by its key's id or by a digest of its secret or token, so that strangers who share its source and know its id do
 * not reach its bucket; unless the client publishes its keys, and with them their ids, itself.
 */
import { sha256 } from '../kernel/digest.ts'
import { NAME_CHARS_MAX, TOKEN_CHARS_MAX } from '../kernel/limits.ts'
import type { ClaimedClient } from '../model/request-facts.ts'

export interface ClaimedName {
  readonly client: string
  readonly recognisedBy: string
}

/** As `named` spells it. */
const SPIFFE = encodeURIComponent('spiffe://')

/** Names of bounded length; what cannot be read is one name for all; `undefined`: it names nobody. Never throws. */
export function claimedName(claim: ClaimedClient): ClaimedName | undefined {
  const { clientId, assertion, basic, apiKey, bearer, certificate } = claim
  if (assertion !== undefined) {
    const text = assertion.length > TOKEN_CHARS_MAX ? '' : assertion
    const [header, claims] = text.split('.', 2).map(readLoosely)
    const [iss, sub] = [member(claims, 'iss'), member(claims, 'sub')]
    // A JWT-SVID names its workload, and who made it as little as not at all; its key's id is every workload's.
    if (sub.startsWith(SPIFFE)) return { client: sub, recognisedBy: `svid\n${sha256(text)}` }
    // A platform, whose name is a URL, vouches for many: one of them is not to be held for another's failures.
    const client = sub === iss || !iss.startsWith('http') ? iss : `${iss} ${sub}`
    return { client, recognisedBy: `jwt\n${client}\n${member(header, 'kid')}` }
  }
  if (bearer !== undefined) {
    const claims = readLoosely(bearer.reveal().split('.', 2)[1] ?? '')
    const client = `${member(claims, 'iss')} ${member(claims, 'sub')}`
    return { client, recognisedBy: `bearer\n${bearer.fingerprint()}` }
  }
  if (basic !== undefined) {
    const text = basic.reveal()
    const [user = ''] = Buffer.from(text, 'base64').toString().split(':', 1)
    return { client: named(user), recognisedBy: `basic\n${sha256(text)}` }
  }
  if (apiKey !== undefined) return { client: named(clientId), recognisedBy: `api-key\n${apiKey.fingerprint()}` }
  const client = named(clientId)
  // Its key's holder has made the handshake: whoever else knows the certificate is not recognised by it.
  if (certificate !== undefined) return { client, recognisedBy: `certificate\n${client}\n${sha256(certificate)}` }
  return client === '' ? undefined : { client, recognisedBy: `id\n${client}` }
}

/** Loosely and cheaply: whatever is believed later has been decoded strictly, and there both readings agree. */
function readLoosely(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString())
  } catch {
    return undefined
  }
}

function member(value: unknown, name: string): string {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return ''
  return named((value as Record<string, unknown>)[name])
}

/** One line each: a name with a line break in it could otherwise spell another claim. */
function named(value: unknown): string {
  return typeof value === 'string' ? encodeURIComponent(value.slice(0, NAME_CHARS_MAX).toWellFormed()) : ''
}
