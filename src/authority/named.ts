/** Whom a token of ours names: what brokers and verifiers look for when they ask whether somebody was cut off. */
import { type Actor, actors } from './actor-chain.ts'

export interface NamedIn {
  /** Principal: `user:…`, `agent:…` or `service:…`. */
  readonly subject: string
  readonly clientId: string
  readonly act: Actor | undefined
}

const KINDS = ['agent:', 'service:'] as const

/**
 * Client ids of every client of ours a token names: subject, holder and each actor, agents and the servers between them. All
 * count for revocation; agents and services share one namespace of ids.
 */
export function clientsOf(token: NamedIn, issuer: string): readonly string[] {
  return [...new Set([token.clientId, ...named(token, issuer).map(({ id }) => id)])]
}

/** Those of them that are agents, newest first: whom authority was given to. A holder that is no server counts as one. */
export function agentsOf(token: NamedIn, issuer: string): readonly string[] {
  const agents = idsOf('agent:', token, issuer)
  const isServer = servicesOf(token, issuer).includes(token.clientId)
  return isServer ? agents : [...new Set([token.clientId, ...agents])]
}

/** Those of them that are servers, newest first: whom it has only passed through. */
export function servicesOf(token: NamedIn, issuer: string): readonly string[] {
  return idsOf('service:', token, issuer)
}

function idsOf(kind: (typeof KINDS)[number], token: NamedIn, issuer: string): readonly string[] {
  return [...new Set(named(token, issuer).flatMap((one) => (one.kind === kind ? [one.id] : [])))]
}

function named({ act, subject }: NamedIn, issuer: string) {
  const ours = act === undefined ? [] : actors(act).filter(({ iss }) => iss === issuer)
  return [...ours.map(({ sub }) => sub), subject].flatMap((sub) => {
    const kind = KINDS.find((one) => sub.startsWith(one))
    return kind === undefined ? [] : [{ kind, id: sub.slice(kind.length) }]
  })
}

export function userIn<S extends string>(token: { readonly subject: S }): S | undefined {
  return token.subject.startsWith('user:') ? token.subject : undefined
}
