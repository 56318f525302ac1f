/**
 * Which flow a request is (DESIGN §3): the kind of the subject token and what is asked for select it, and with it how its
 * evidence is verified and what is asked of the policy. A missing parameter never changes what a request is.
 */
import { Rejection } from '../kernel/rejection.ts'
import type { ProvenKeys } from '../model/confirmation.ts'
import type { SubjectEvidence, VerifiedClient } from '../model/evidence.ts'
import type { FlowName } from '../model/exchange.ts'
import { GRANT_TYPE, TOKEN_TYPE } from '../protocol/oauth.ts'
import {
  fromHandle,
  fromIdJag,
  fromInbound,
  fromItself,
  fromUser,
  fromWorkload,
  fromWorkloadGrant,
  type VerifyEvidence,
} from './evidence.ts'
import { type Asker, type Framed, type FrameInput, type Party, requireAgent, requireServer } from './flow.ts'
import { frameAccept } from './frame/accept.ts'
import { frameAutonomous } from './frame/autonomous.ts'
import { frameContinue } from './frame/continue.ts'
import { frameDelegate } from './frame/delegate.ts'
import { frameDownstream } from './frame/downstream.ts'
import { frameEnterpriseManaged } from './frame/enterprise-managed.ts'
import { frameOpen } from './frame/open.ts'
import type { TokenRequest } from './token-request.ts'

export interface Flow<R extends TokenRequest, E extends SubjectEvidence, P extends Asker = Party> {
  readonly name: FlowName
  readonly verify: VerifyEvidence<R, E, P>
  frame(input: FrameInput<R, E, P>): Framed
}

// One cast for all flows: `admit` pairs each request and party with the flow whose verify and frame take exactly these.
type AnyFlow = Flow<TokenRequest, SubjectEvidence, Asker>

function flow<R extends TokenRequest, E extends SubjectEvidence, P extends Asker = Party>(
  name: FlowName,
  verify: VerifyEvidence<R, E, P>,
  frame: Flow<R, E, P>['frame'],
): AnyFlow {
  return { name, verify, frame } as unknown as AnyFlow
}

/** What this client asks for, and as whom. @throws Rejection `grant_type_not_allowed`, and those of `selectFlow` */
export function admit(
  request: TokenRequest,
  verified: VerifiedClient,
  proven: ProvenKeys,
): { readonly flow: AnyFlow; readonly party: Asker } {
  const goesOn = request.grantType === GRANT_TYPE.tokenExchange && request.subjectTokenType === TOKEN_TYPE.accessToken
  if (verified.client.kind !== 'service' || !goesOn) {
    const party = requireAgent(verified, proven)
    return { flow: selectFlow(request, verified), party }
  }
  if (request.requested !== TOKEN_TYPE.accessToken) throw unsupported('a server goes on with access tokens only')
  return { flow: DOWNSTREAM, party: requireServer(verified, proven) }
}

/** @throws Rejection `requested_token_type_unsupported`, `subject_token_type_unsupported` */
export function selectFlow(request: TokenRequest, { workload }: Pick<VerifiedClient, 'workload'>): AnyFlow {
  if (request.grantType === GRANT_TYPE.clientCredentials) return AUTONOMOUS
  if (request.grantType === GRANT_TYPE.jwtBearer) return workload?.slot === 'assertion' ? WORKLOAD_GRANT : ID_JAG
  const wanted = request.requested
  switch (request.subjectTokenType) {
    case TOKEN_TYPE.idToken:
    case TOKEN_TYPE.accessToken:
      if (wanted === TOKEN_TYPE.delegation) throw unsupported('a delegation is made from a session token')
      // What the draft calls an identity assertion; an access token speaks of what its client may do.
      if (wanted === TOKEN_TYPE.idJag && request.subjectTokenType === TOKEN_TYPE.accessToken)
        throw unsupported('an ID-JAG is made from an ID token or a session token')
      return OPEN
    case TOKEN_TYPE.session:
      if (wanted === TOKEN_TYPE.session) throw unsupported('a session token is not exchanged for another session token')
      return wanted === TOKEN_TYPE.delegation ? DELEGATE : CONTINUE
    case TOKEN_TYPE.delegation:
      if (wanted === TOKEN_TYPE.delegation || wanted === TOKEN_TYPE.idJag)
        throw unsupported('accept the delegation first, then go on from its session token')
      return ACCEPT
    case TOKEN_TYPE.jwt:
      if (wanted === TOKEN_TYPE.delegation) throw unsupported('a delegation is made from a session token')
      if (wanted === TOKEN_TYPE.idJag) throw unsupported('an ID-JAG is about a user, and a workload is none')
      return WORKLOAD
    case TOKEN_TYPE.idJag:
      throw new Rejection('subject_token_type_unsupported', 'an ID-JAG is a grant (jwt-bearer), not a subject')
  }
}

function unsupported(why: string): Rejection {
  return new Rejection('requested_token_type_unsupported', why)
}

const OPEN = flow('open', fromUser, frameOpen)
const CONTINUE = flow('continue', fromHandle('session'), frameContinue)
const DELEGATE = flow('delegate', fromHandle('session'), frameDelegate)
const ACCEPT = flow('accept', fromHandle('delegation'), frameAccept)
const DOWNSTREAM = flow('downstream', fromInbound, frameDownstream)
const AUTONOMOUS = flow('autonomous', fromItself, frameAutonomous)
const WORKLOAD = flow('autonomous', fromWorkload, frameAutonomous)
const WORKLOAD_GRANT = flow('workload_grant', fromWorkloadGrant, frameAutonomous)
const ID_JAG = flow('id_jag', fromIdJag, frameEnterpriseManaged)
