/**
 * Whether a platform that can be asked still stands by its token (Kubernetes TokenReview): one of a deleted pod or account
 * verifies until it expires.
 *
 * Validates: where the platform's entry says so, that the cluster knows the token now, for our audience, as the account, uid
 * and pod that it names.
 * Does not validate: anything else: it is asked last, so that only tokens that have passed cost the cluster a question, and
 * after admission, so that a slow cluster keeps nobody else's credentials waiting.
 */
import { claimAt } from '../../jose/claim-at.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { Rejection, type RejectionReason } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { VerifiedClient, WorkloadSlot, WorkloadToken } from '../../model/evidence.ts'
import type { PendingReview, ReviewedAccount } from '../../model/token-review.ts'
import type { WorkloadIssuer } from '../../model/workload.ts'
import { ReviewUnavailable, type TokenReviews } from '../../net/token-reviews.ts'
import { type Claims, nameClaim } from '../claim.ts'

export interface ReviewDependencies {
  readonly reviews: Pick<TokenReviews, 'review'>
}

const REVOKED: Readonly<Record<WorkloadSlot, RejectionReason>> = {
  client_assertion: 'client_assertion_revoked',
  assertion: 'assertion_revoked',
  subject_token: 'subject_token_revoked',
  actor_token: 'actor_token_unacceptable',
}

/** What the cluster has to say of a token with these claims. @throws JwtError `claims` */
export function pendingReview(
  text: Secret,
  claims: Claims,
  { tokenReview: cluster }: WorkloadIssuer,
): { readonly review?: PendingReview } {
  if (cluster === undefined) return {}
  const uid = claimAt(claims, ['kubernetes.io', 'serviceaccount', 'uid'])
  const podUid = claimAt(claims, ['kubernetes.io', 'pod', 'uid'])
  if (typeof uid !== 'string' || (podUid !== undefined && typeof podUid !== 'string')) {
    throw new JwtError('claims', 'the token does not say which account and pod it is bound to')
  }
  return { review: { text, cluster, account: { username: nameClaim(claims, 'sub'), uid, podUid } } }
}

/** @throws Rejection `client_assertion_revoked`, `assertion_revoked`, `workload_review_unavailable` */
export async function assertClientVouchedFor({ workload }: VerifiedClient, deps: ReviewDependencies): Promise<void> {
  if (workload !== undefined) await assertVouchedFor(workload.token, workload.slot, deps)
}

/** @throws Rejection `subject_token_revoked`, `actor_token_unacceptable`, and those of `assertClientVouchedFor` */
export async function assertVouchedFor(
  { review, voucher: { slug } }: WorkloadToken,
  slot: WorkloadSlot,
  deps: ReviewDependencies,
): Promise<void> {
  if (review === undefined) return
  const found = await ask(review, slug, deps)
  const { username, uid, podUid } = review.account
  if (found?.username === username && found.uid === uid && found.podUid === podUid) return
  throw new Rejection(REVOKED[slot], `platform "${slug}" no longer vouches for this token`)
}

async function ask(
  { text, cluster }: PendingReview,
  slug: string,
  { reviews }: ReviewDependencies,
): Promise<ReviewedAccount | undefined> {
  try {
    return await reviews.review(text, cluster)
  } catch (error) {
    if (!(error instanceof ReviewUnavailable)) throw error
    throw new Rejection('workload_review_unavailable', `platform "${slug}" cannot be asked at present`, {
      retryAfterSeconds: 1,
      cause: error,
    })
  }
}
