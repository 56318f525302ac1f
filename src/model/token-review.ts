/** Kubernetes TokenReview: a cluster that is asked about its service-account tokens while they are presented. Immutable. */
import type { Secret } from '../kernel/secret.ts'

export interface TokenReview {
  /** The API server's `…/apis/authentication.k8s.io/v1/tokenreviews`. */
  readonly url: string
  /** The broker's own credential there, and the authority of the server's certificate: read anew each time, as both rotate. */
  readonly credentialFile: string
  readonly caFile: string
  /** What the broker calls itself to the cluster; a token must be for one of these. */
  readonly audiences: readonly string[]
}

/** Whom the cluster says a token speaks for, now. */
export interface ReviewedAccount {
  /** `system:serviceaccount:<namespace>:<name>` */
  readonly username: string
  readonly uid: string
  /** `undefined`: the token is not bound to a pod. */
  readonly podUid: string | undefined
}

/** A token that stands only if its cluster says so, and says so of this account. */
export interface PendingReview {
  readonly text: Secret
  readonly cluster: TokenReview
  readonly account: ReviewedAccount
}
