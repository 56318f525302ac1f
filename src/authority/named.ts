/** Whom a token of ours names: what brokers and verifiers look for when they ask whether somebody was cut off. */
import { type Actor, actors } from './actor-chain.ts'

export interface NamedIn {
  /** Principal: `user:…`, `agent:…` or `service:…`. */
  readonly subject: string
  readonly clientId: string
  readonly act: Actor | undefined
}

/** Client ids of every agent of ours a token names: subject, holder and each actor. All count for revocation. */
export function agentsOf(token: NamedIn, issuer: string): readonly string[] {
  const principals = new Set<string>([token.subject, `agent:${token.clientId}`])
  if (token.act !== undefined) {
    for (const actor of actors(token.act)) if (actor.iss === issuer) principals.add(actor.sub)
  }
  return [...principals].filter((sub) => sub.startsWith('agent:')).map((sub) => sub.slice('agent:'.length))
}

export function userIn<S extends string>(token: { readonly subject: S }): S | undefined {
  return token.subject.startsWith('user:') ? token.subject : undefined
}
