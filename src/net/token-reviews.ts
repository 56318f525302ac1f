/**
 * Asks a cluster whether a service-account token still stands (Kubernetes TokenReview, authentication.k8s.io/v1): one of a
 * deleted pod or account verifies until it expires, and only the API server knows.
 *
 * Guarantees: what cannot be asked, or is not answered as the API promises, is never a yes; a yes is kept for
 * `TOKEN_REVIEW_KEPT_MS`, a no never; one question at a time per token, so many at a time per cluster and no more, so that a
 * slow API server costs only those who come from it.
 * Does not validate: that the account is the one the token names (`credentials/` compares).
 */
import { isJsonObject } from '../jose/strict-json.ts'
import type { Clock } from '../kernel/clock.ts'
import {
  FETCH_TIMEOUT_MS,
  TOKEN_REVIEW_BYTES_MAX,
  TOKEN_REVIEW_KEPT_MS,
  TOKEN_REVIEWS_AT_ONCE_MAX,
  TOKEN_REVIEWS_KEPT_MAX,
} from '../kernel/outbound-limits.ts'
import { Secret } from '../kernel/secret.ts'
import type { ReviewedAccount, TokenReview } from '../model/token-review.ts'
import type { FetchJson } from './guarded-fetch.ts'
import { readBearer, readLocalText } from './local-files.ts'

export interface TokenReviewsDependencies {
  readonly fetchJson: FetchJson
  readonly clock: Clock
  /** Told why, each time. */
  readonly onFailure?: (cluster: TokenReview, error: unknown) => void
}

/** There is no answer that may be relied on; says why, and nothing that the cluster said. */
export class ReviewUnavailable extends Error {}

/** `undefined`: the cluster does not know the token, or not for these audiences. */
type Verdict = ReviewedAccount | undefined

interface Kept {
  readonly account: ReviewedAccount
  readonly untilMs: number
}

export class TokenReviews {
  readonly #dependencies: TokenReviewsDependencies
  readonly #kept = new Map<string, Kept>()
  readonly #asking = new Map<string, Promise<Verdict>>()
  /** Questions under way, by the address they went to. */
  readonly #load = new Map<string, number>()

  constructor(dependencies: TokenReviewsDependencies) {
    this.#dependencies = dependencies
  }

  /** @throws ReviewUnavailable */
  async review(token: Secret, cluster: TokenReview): Promise<Verdict> {
    // The same token means another thing to another cluster, and for other audiences.
    const question = JSON.stringify([token.fingerprint(), cluster.url, cluster.audiences])
    const kept = this.#kept.get(question)
    if (kept !== undefined && this.#dependencies.clock.nowMs() < kept.untilMs) return kept.account
    const asking = this.#asking.get(question)
    if (asking !== undefined) return asking
    const asked = this.#ask(token, cluster, question).finally(() => this.#asking.delete(question))
    this.#asking.set(question, asked)
    return asked
  }

  async #ask(token: Secret, cluster: TokenReview, question: string): Promise<Verdict> {
    const load = this.#load.get(cluster.url) ?? 0
    if (load >= TOKEN_REVIEWS_AT_ONCE_MAX) throw new ReviewUnavailable('too many reviews are waiting for the cluster')
    this.#load.set(cluster.url, load + 1)
    try {
      // From before the question: an answer is as old as the moment it was asked for.
      const askedAtMs = this.#dependencies.clock.nowMs()
      const account = verdictOf(await this.#post(token, cluster), cluster)
      this.#kept.delete(question)
      if (account !== undefined) this.#keep(question, { account, untilMs: askedAtMs + TOKEN_REVIEW_KEPT_MS })
      return account
    } catch (fault) {
      this.#dependencies.onFailure?.(cluster, fault)
      if (fault instanceof ReviewUnavailable) throw fault
      throw new ReviewUnavailable('the cluster could not be asked about the token', { cause: fault })
    } finally {
      this.#load.set(cluster.url, (this.#load.get(cluster.url) ?? 1) - 1)
    }
  }

  async #post(token: Secret, { url, audiences, credentialFile, caFile }: TokenReview): Promise<unknown> {
    const review = {
      apiVersion: API_VERSION,
      kind: KIND,
      spec: { token: token.reveal(), audiences },
    }
    return await this.#dependencies.fetchJson(url, {
      body: { type: 'application/json', text: new Secret(JSON.stringify(review)) },
      mayCreate: true,
      authorization: await readBearer(credentialFile),
      ca: await readLocalText(caFile),
      accept: ['application/json'],
      bytesMax: TOKEN_REVIEW_BYTES_MAX,
      timeoutMs: FETCH_TIMEOUT_MS,
    })
  }

  #keep(question: string, kept: Kept): void {
    const [oldest] = this.#kept.keys()
    if (oldest !== undefined && this.#kept.size >= TOKEN_REVIEWS_KEPT_MAX) this.#kept.delete(oldest)
    this.#kept.set(question, kept)
  }
}

const API_VERSION = 'authentication.k8s.io/v1'
const KIND = 'TokenReview'
const POD_UID = 'authentication.kubernetes.io/pod-uid'

/** @throws ReviewUnavailable for an answer that is not one */
function verdictOf(answer: unknown, { audiences }: TokenReview): Verdict {
  const review = objectOf(answer)
  if (review['apiVersion'] !== API_VERSION || review['kind'] !== KIND) throw malformed()
  const status = objectOf(review['status'])
  const { authenticated = false } = status
  // Go leaves `false` out.
  if (authenticated === false) return undefined
  if (authenticated !== true) throw malformed()
  // A server that does not know of audiences answers for its own, and then says none (Kubernetes, TokenReviewStatus).
  const named = status['audiences'] ?? []
  if (!Array.isArray(named)) throw malformed()
  if (!named.some((audience) => audiences.includes(audience))) return undefined
  const user = objectOf(status['user'])
  const extra = user['extra'] === undefined ? {} : objectOf(user['extra'])
  const { username, uid } = user
  const podUids = extra[POD_UID] ?? []
  if (typeof username !== 'string' || typeof uid !== 'string' || !Array.isArray(podUids)) throw malformed()
  const [podUid] = podUids
  if (podUids.length > 1 || (podUid !== undefined && typeof podUid !== 'string')) throw malformed()
  return { username, uid, podUid }
}

function objectOf(value: unknown): Record<string, unknown> {
  if (!isJsonObject(value)) throw malformed()
  return value
}

function malformed(): ReviewUnavailable {
  return new ReviewUnavailable('the cluster did not answer with a TokenReview')
}
