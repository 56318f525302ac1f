/**
 * Branded identifiers: a session id cannot be passed where a node id is wanted (a swap is a type error), and random ids
 * carry 128 bits so that none can be guessed or collide.
 */

import { randomFillSync } from 'node:crypto'
import { userName } from './user-name.ts'

declare const brand: unique symbol
type Branded<T extends string> = string & { readonly [brand]: T }

/** OAuth client id, raw, as registered. */
export type ClientId = Branded<'ClientId'>
/** `ses_…`: a session. */
export type SessionId = Branded<'SessionId'>
/** `nod_…`: one hop of a session's tree. The id of an accepted node is the `jti` of the delegation token that became it. */
export type NodeId = Branded<'NodeId'>
/** `jti` of a token this broker minted. */
export type Jti = Branded<'Jti'>
/** `dec_…`: one decision, and its audit record: they share the id. */
export type DecisionId = Branded<'DecisionId'>
/** `user:<issuer-slug>:<sub>`, `agent:<client_id>`, `service:<id>` or `operator:<name>` (RFC 9700 §4.15). */
export type PrincipalId = Branded<'PrincipalId'>
/** A resource's URL, byte for byte as registered (RFC 8707 §2). */
export type ResourceUrl = Branded<'ResourceUrl'>

const ID_BYTES = 16
/** Drawn ahead for many ids at once: a request needs half a dozen, and asking the system for each costs more than using it. */
const pool = Buffer.alloc(256 * ID_BYTES)
let used = pool.length

/** 128 random bits, each given out once. */
function randomBits(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const bits = pool.toString('base64url', used, used + ID_BYTES)
  // What was given out must not be found here later.
  pool.fill(0, used, used + ID_BYTES)
  used += ID_BYTES
  return bits
}

function random(prefix: string): string {
  return `${prefix}_${randomBits()}`
}

export const newSessionId = (): SessionId => random('ses') as SessionId
export const newNodeId = (): NodeId => random('nod') as NodeId
export const newJti = (): Jti => random('jti') as Jti
export const newDecisionId = (): DecisionId => random('dec') as DecisionId
/** A request's nonce: lets a retry recognise its own single-use claim. */
export const newNonce = (): string => random('req')
/** A call at an MCP server, chosen by the server. */
export const newCallId = (): string => random('call')
/** Salts the hash of a purpose, so that tokens do not give short purposes away. */
export const newSalt = (): string => randomBits()

export const userPrincipal = (issuerSlug: string, sub: string): PrincipalId =>
  `user:${userName({ issuerSlug, sub })}` as PrincipalId
export const agentPrincipal = (clientId: ClientId): PrincipalId => `agent:${clientId}` as PrincipalId
export const servicePrincipal = (clientId: ClientId): PrincipalId => `service:${clientId}` as PrincipalId
export const operatorPrincipal = (name: string): PrincipalId => `operator:${name}` as PrincipalId
