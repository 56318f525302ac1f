/**
 * What must hold of every history, whatever failed meanwhile. Judged from what callers saw, not from what brokers say of
 * themselves.
 */
import type { Granted, Happening, History, Issued, Revoked, Verified } from './history.ts'

export interface Violation {
  readonly law: 'dead stays dead' | 'nothing from the dead' | 'single use' | 'no resurrection' | 'service returns'
  readonly says: string
  readonly happenings: readonly Happening[]
}

export function violations(history: History): readonly Violation[] {
  const index = indexOf(history.happenings)
  return [
    ...deadStaysDead(history, index),
    ...nothingFromTheDead(history, index),
    ...singleUse(index),
    ...noResurrection(history, index),
    ...serviceReturns(history),
  ]
}

interface Index {
  readonly granted: readonly Granted[]
  readonly verified: readonly Verified[]
  /** The first acknowledgement of each target: later ones promise nothing new. */
  readonly dead: ReadonlyMap<string, Revoked>
}

function indexOf(happenings: readonly Happening[]): Index {
  const dead = new Map<string, Revoked>()
  for (const happening of happenings) {
    if (happening.kind !== 'revoked') continue
    const known = dead.get(happening.target)
    if (known === undefined || happening.at < known.at) dead.set(happening.target, happening)
  }
  return {
    granted: happenings.filter((one) => one.kind === 'granted'),
    verified: happenings.filter((one) => one.kind === 'verified'),
    dead,
  }
}

/** The earliest acknowledged revocation that this token is dead by. */
export function deathOf(issued: Issued, dead: ReadonlyMap<string, Revoked>): Revoked | undefined {
  return [issued.token, issued.session, ...issued.nodes]
    .flatMap((id) => dead.get(id) ?? [])
    .reduce<Revoked | undefined>((first, one) => (first === undefined || one.at < first.at ? one : first), undefined)
}

/** No verifier accepts, beyond its bound, what was acknowledged to be revoked before it was asked. */
function* deadStaysDead({ bounds }: History, { verified, dead }: Index): Iterable<Violation> {
  for (const verification of verified) {
    if (verification.verdict !== 'accepted') continue
    const death = deathOf(verification, dead)
    const bound = bounds.verifierMs[verification.verifier] ?? 0
    if (death === undefined || verification.begunAt <= death.at + bound) continue
    const late = Math.round(verification.begunAt - death.at)
    yield {
      law: 'dead stays dead',
      says: `${verification.verifier} accepted ${verification.token} ${late} ms after ${death.target} was revoked (bound ${bound})`,
      happenings: [death, verification],
    }
  }
}

/** No broker gives anything, beyond its bound, for a token that was acknowledged to be revoked before it was asked. */
function* nothingFromTheDead({ bounds }: History, { granted, dead }: Index): Iterable<Violation> {
  for (const grant of granted) {
    if (grant.how === 'open') continue
    // What it was given for is above it: its own id cannot have been revoked before it was there.
    const death = deathOf({ token: grant.from ?? '', session: grant.session, nodes: grant.nodes }, dead)
    if (death === undefined || grant.begunAt <= death.at + bounds.brokerMs) continue
    yield {
      law: 'nothing from the dead',
      says: `${grant.how} gave ${grant.token}, asked for ${Math.round(grant.begunAt - death.at)} ms after ${death.target} was revoked`,
      happenings: [death, grant],
    }
  }
}

function* singleUse({ granted }: Index): Iterable<Violation> {
  for (const [once, uses] of Map.groupBy(granted, ({ once }) => once)) {
    if (once === undefined || uses.length < 2) continue
    yield { law: 'single use', says: `${once} was good for ${uses.length} tokens`, happenings: uses }
  }
}

function* serviceReturns({ happenings }: History): Iterable<Violation> {
  for (const happening of happenings) {
    if (happening.kind === 'not_back') yield { law: 'service returns', says: happening.what, happenings: [happening] }
  }
}

/** What a verifier has once refused as dead, for a revocation that nobody may have been told of, does not come back either. */
function* noResurrection({ bounds }: History, { verified }: Index): Iterable<Violation> {
  const byVerifier = Map.groupBy(verified, ({ verifier, token }) => `${verifier} ${token}`)
  for (const verifications of byVerifier.values()) {
    const refusal = verifications
      .filter(({ verdict }) => verdict === 'refused')
      .reduce<Verified | undefined>((first, one) => (first === undefined || one.at < first.at ? one : first), undefined)
    if (refusal === undefined) continue
    const bound = bounds.verifierMs[refusal.verifier] ?? 0
    const again = verifications.find((one) => one.verdict === 'accepted' && one.begunAt > refusal.at + bound)
    if (again === undefined) continue
    yield {
      law: 'no resurrection',
      says: `${again.verifier} accepted ${again.token}, which it had refused ${Math.round(again.begunAt - refusal.at)} ms before`,
      happenings: [refusal, again],
    }
  }
}
