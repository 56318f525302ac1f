/**
 * What a server is told of an approval: `context.access_request` of a refusal. The members are named as the AuthZEN Access Request
 * and Approval Profile (draft 1) names those of a task: `id`, `status`, `expires_at`, `display`, `links.review`. Ours is that the
 * request has been made by the attempt already, so that `requestable` is false: there is nothing left to submit.
 */
import type { Approval } from '../../model/approval.ts'

export interface AccessRequest {
  readonly requestable: false
  readonly id: string
  readonly status: 'pending' | 'approved' | 'denied'
  /** RFC 3339: when that status ends. */
  readonly expires_at: string
  readonly display: { readonly title: string; readonly description: string }
  /** Where an approver reads it and answers. */
  readonly links: { readonly review: string }
}

const TITLES: Readonly<Record<AccessRequest['status'], string>> = {
  pending: 'Waits for a person to approve it',
  approved: 'Approved: attempt the call again',
  denied: 'Denied by a person',
}

/** Never the arguments: those are for the approver. */
export function accessRequest(approval: Approval, status: AccessRequest['status'], issuer: string): AccessRequest {
  const { id, tool, resource, agent, subject, until } = approval
  return {
    requestable: false,
    id,
    status,
    expires_at: new Date(until * 1000).toISOString().replace('.000Z', 'Z'),
    display: {
      title: TITLES[status],
      description: `one call of ${tool} at ${resource}, by agent ${agent} for ${subject}, with exactly the arguments of this attempt`,
    },
    links: { review: `${issuer}/admin/v1/approvals/${id}` },
  }
}
