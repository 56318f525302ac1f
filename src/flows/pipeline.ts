/**
 * One request, one straight line (DESIGN §5). Whatever the flow: begin the record, parse, authenticate, verify the evidence,
 * claim and read, decide, mint, commit, respond. No token exists outside the process before the commit has answered.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import { authorityScopes } from '../authority/narrowing.ts'
import { prepareAuthentication } from '../credentials/client/client-authentication.ts'
import { assertClientActive, claimedBy, presentedClient } from '../credentials/client/presented-client.ts'
import { provenKeys } from '../credentials/proof/possession.ts'
import { heldBy } from '../credentials/workload/workload-binding.ts'
import { assertClientVouchedFor } from '../credentials/workload/workload-review.ts'
import { agentPrincipal, servicePrincipal } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import { isOverLimit, isSomebodyElses } from '../kernel/rejection-kinds.ts'
import type { ProvenKeys } from '../model/confirmation.ts'
import type { Permit } from '../model/decision.ts'
import type { SubjectEvidence, VerifiedClient } from '../model/evidence.ts'
import type { FlowName } from '../model/exchange.ts'
import type { MintedToken } from '../model/minted.ts'
import type { Registry } from '../model/registry.ts'
import type { Arrival } from '../model/request-facts.ts'
import { endpointUrls } from '../model/settings.ts'
import { inStep } from '../model/trace.ts'
import { beforeAsking } from '../net/external-policy.ts'
import { decide } from '../policy/decide.ts'
import type { Form } from '../protocol/form.ts'
import { ENDPOINT, GRANT_TYPE } from '../protocol/oauth.ts'
import type { LiveSession } from '../sessions/session-repository.ts'
import { withinBudget } from '../store/time-budget.ts'
import { isForApi } from './api-token.ts'
import { boundTo, describeAsked, givenTxn } from './attribution.ts'
import { commitIssue } from './commit-issue.ts'
import { assertWithinConfinement } from './confinement.ts'
import { recordDecided } from './decided.ts'
import type { EvidenceSources } from './evidence.ts'
import { askedOutside } from './external-answer.ts'
import { type Asker, type Framed, type Issue, permitted } from './flow.ts'
import { heldSession } from './frame/handle.ts'
import { assertGoverned } from './governance.ts'
import { refusingAsGrant } from './grant-refusals.ts'
import { issuedWithin } from './issuance.ts'
import { issueForApi } from './issue-for-api.ts'
import { mintIssue } from './mint-issue.ts'
import { issuedBy, observed, tellIssued } from './observed.ts'
import { type AskedWith, askedWith, countedOutside } from './outside.ts'
import type { PipelineParts } from './pipeline-parts.ts'
import { admit } from './select-flow.ts'
import { bindTo, constraintOf, withDemandedKey } from './sender-constraint.ts'
import { SingleUses } from './single-uses.ts'
import { assertBuildsStand, assertStanding, versionsIn } from './standing.ts'
import { parseTokenRequest, type TokenRequest } from './token-request.ts'
import { type TokenResponse, tokenResponse } from './token-response.ts'

export class TokenPipeline {
  readonly #parts: PipelineParts

  constructor(parts: PipelineParts) {
    this.#parts = parts
  }

  /** @throws RefusedRequest, with its record written */
  answer(form: () => Form, facts: Arrival): Promise<TokenResponse> {
    const run = new Run(this.#parts, facts)
    return observed(this.#parts.observer, run, () => withinBudget(() => this.#run(run, form, facts)))
  }

  async #run(run: Run, form: () => Form, facts: Arrival): Promise<TokenResponse> {
    try {
      return await run.answer(form())
    } catch (error) {
      const settled = await run.settleClient(error)
      throw await this.#parts.auditor.refuse(run.draft, settled, facts.source, run.counted(settled))
    }
  }
}

/** The state of one request on its way down the line. */
class Run {
  readonly draft: AuditDraft
  flow: FlowName = 'unknown'
  readonly #parts: PipelineParts
  readonly #facts: Arrival
  readonly #uses: SingleUses
  readonly #nowMs: number
  readonly #now: number
  readonly #registry: Registry
  /** Read with the registry, before anything is checked: what is cut off from here on has a higher number. */
  readonly #rv: number
  readonly #sources: EvidenceSources
  /** It has authenticated with a workload's token, and not shown yet by which key. */
  #isHolderUnknown = false
  #asked: AskedWith | undefined

  constructor(parts: PipelineParts, facts: Arrival) {
    this.#parts = parts
    this.#facts = facts
    this.#uses = new SingleUses(parts.store, parts.cutoffs)
    this.#registry = parts.registries.current
    this.#rv = parts.cutoffs.rv
    this.#sources = { ...parts.evidence, registry: this.#registry }
    this.#nowMs = parts.clock.nowMs()
    this.#now = Math.floor(this.#nowMs / 1000)
    this.draft = parts.auditor.begin(facts) // 1
  }

  async answer(form: Form): Promise<TokenResponse> {
    this.#facts.entry.claim(claimedBy(form, this.#facts))
    const request = parseTokenRequest(form) // 2
    return refusingAsGrant(request, () => this.#answer(form, request))
  }

  async #answer(form: Form, request: TokenRequest): Promise<TokenResponse> {
    const verified = await inStep('authenticate', () => this.#authenticate(form, request)) // 3
    const proven = await inStep('prove', () => this.#proveKeys(verified))
    if (request.grantType === GRANT_TYPE.clientCredentials && isForApi(request, this.#parts.settings.issuer)) {
      return this.#answerApi(request, verified, proven)
    }
    const { flow, party } = admit(request, verified, proven)
    this.flow = flow.name
    const verify = () => flow.verify(request, party, this.#sources, this.#now)
    const { evidence, singleUses } = await inStep('verify', verify) // 4
    for (const use of singleUses) this.#uses.add(use)
    this.draft.add(describeAsked(evidence, request, verified))
    if (evidence.kind === 'user') this.#facts.entry.spendIssuer(evidence.issuer.slug)
    if (evidence.kind === 'workload') this.#facts.entry.spendIssuer(evidence.token.voucher.slug)
    const live = await inStep('claim', () => this.#claimAndRead(evidence)) // 5
    this.#asked = askedWith(evidence, live, this.draft)
    const input = { request, party, evidence, live }
    const { framed, permit } = await inStep('decide', () => this.#decide(flow.frame, input)) // 6
    const issue = withDemandedKey(framed.issue(permit), proven)
    await this.#parts.capture.onto(this.draft, { kind: 'prompt', text: request.prompt, session: issue.change.session })
    const scopes = 'resource' in issue.mint ? authorityScopes(issue.order.authority) : []
    const within = { agent: framed.question.agent, scopes, id: this.draft.id }
    const minted = await issuedWithin(this.#parts.store.windows, within, () => this.#mintAndCommit(framed, issue))
    tellIssued(this.#parts.observer, issuedBy(verified, { question: framed.question, permit, issue }))
    return tokenResponse(minted, issue.mint.kind, this.draft.id, issue.shows)
  }

  async #mintAndCommit(framed: Framed, issue: Issue): Promise<MintedToken> {
    const minted = await mintIssue(issue, this.#parts.minter) // 7
    await commitIssue(framed, issue, minted, { draft: this.draft, parts: this.#parts }) // 8
    return minted
  }

  /** 3. The client, whether it may ask this way, and whether it is still welcome. */
  async #authenticate(form: Form, request: TokenRequest): Promise<VerifiedClient> {
    const { clientSecretBasic, apiKeys, issuer } = this.#parts.settings
    const known = { ...this.#sources, issuer, clientSecretBasic, apiKeys, now: this.#now, endpoint: ENDPOINT.token }
    const grant = request.grantType === GRANT_TYPE.jwtBearer ? request.assertion : undefined
    const authenticate = await prepareAuthentication({ ...presentedClient(form, this.#facts), grant }, known)
    const verified = await this.#facts.entry.admit(authenticate)
    this.#uses.add(verified.singleUse)
    this.#isHolderUnknown = verified.workload !== undefined
    this.draft.add({ client_auth: verified.authentication })
    const { client } = verified
    this.draft.authenticatedAs((client.kind === 'agent' ? agentPrincipal : servicePrincipal)(client.clientId))
    if (client.kind === 'agent') this.draft.add({ agent: { id: client.clientId, version: verified.version } })
    this.#facts.entry.spend(ENDPOINT.token)
    assertClientActive(verified, this.#parts.settings.environment)
    await assertClientVouchedFor(verified, this.#sources)
    if (!client.grantTypes.includes(request.grantType)) {
      throw new Rejection('grant_type_not_allowed', 'this client is not registered for this grant_type', {
        missing: [`${request.grantType} in the grant_types of ${client.clientId}`],
      })
    }
    assertWithinConfinement(verified, request, issuer)
    return verified
  }

  /** Still 3. What the sender proves to hold, beside who it is; after that, so that a stranger's proof costs nothing. */
  async #proveKeys({ workload }: VerifiedClient): Promise<ProvenKeys> {
    const { nonces } = this.#parts.evidence
    const place = endpointUrls(this.#parts.settings, ENDPOINT.token)
    const proven = await provenKeys(this.#facts, { method: 'POST', ...place, token: undefined, nonces, now: this.#now })
    if (workload !== undefined) this.#uses.add(heldBy(workload.token, workload.slot, proven))
    this.#isHolderUnknown = false
    this.draft.add(boundTo(proven.keys[0]))
    this.#uses.add(proven.singleUse)
    return proven
  }

  /**
   * Claims what is single-use. Also on the way out of a refusal: an assertion that arrived with bad evidence is used up too,
   * and whoever replays it is a stranger, not its client.
   */
  async #claim(): Promise<void> {
    await this.#uses.claim()
    this.#facts.entry.succeeded()
  }

  async settleClient(error: unknown): Promise<unknown> {
    try {
      // Not for those over a limit: sparing the store such writes is what limits are for.
      if (this.#uses.isAnyUnclaimed && !isOverLimit(error)) await this.#claim()
    } catch (claimError) {
      error = claimError
    }
    if (isSomebodyElses(error)) this.draft.disown()
    else this.#facts.entry.excused(!this.#uses.isAnyUnclaimed && !this.#isHolderUnknown)
    return error
  }

  /** How its refusal is written where it counts against the session. */
  readonly counted = (error: unknown) => countedOutside(error, this.#asked, this.draft, this.#parts)

  /** In parallel; a replayed assertion outranks whatever the session read says. */
  async #claimAndRead(evidence: SubjectEvidence): Promise<LiveSession | undefined> {
    const read = heldSession(evidence, this.#parts.sessions, this.#now)
    const [claimed, live] = await Promise.allSettled([this.#claim(), read])
    if (claimed.status === 'rejected') throw claimed.reason
    if (live.status === 'rejected') throw live.reason
    return live.value
  }

  /** 6. */
  async #decide(
    frame: ReturnType<typeof admit>['flow']['frame'],
    input: { request: TokenRequest; party: Asker; evidence: SubjectEvidence; live: LiveSession | undefined },
  ): Promise<{ framed: Framed; permit: Permit }> {
    const { cutoffs, external, settings } = this.#parts
    const [registry, rv] = [this.#registry, this.#rv]
    cutoffs.assertFresh(rv)
    const { issuer, environment } = settings
    const { evidence, party, live } = input
    const versions = versionsIn(party, live)
    const standing = { cutoffs, registry, issuer, environment, nowMs: this.#nowMs, versions }
    assertStanding(evidence, party, standing)
    assertBuildsStand(evidence, live, standing)
    const begun = { id: this.draft.id, now: this.#now, environment: settings.environment }
    const where = { services: [], container: undefined, atCall: false, contracted: live?.state === 'contracted' }
    const question = { ...begun, ...where, external: beforeAsking(external) }
    const confirmation = bindTo(constraintOf(evidence, live), party.proven, party.verified.client)
    const about = { registry, settings, question, rv, txn: givenTxn(evidence, this.#facts, settings), confirmation }
    const framed = frame({ ...input, ...about })
    assertGoverned([framed.question.agent, ...framed.question.chain], this.#parts, this.#now)
    const signedInAt = evidence.kind === 'user' ? evidence.signedInAt : live?.facts.evidence?.signedInAt
    const asked = await askedOutside(framed.question, external, signedInAt, standing)
    const decision = decide(registry, asked)
    recordDecided(this.draft, asked, decision, { registry, shadow: this.#parts.shadow })
    return { framed, permit: permitted(decision) }
  }

  async #answerApi(request: TokenRequest, verified: VerifiedClient, proven: ProvenKeys): Promise<TokenResponse> {
    this.flow = 'api'
    await this.#claim()
    const at = { proven, rv: this.#rv, now: this.#now, nowMs: this.#nowMs }
    const minted = await issueForApi(request, verified, { ...this.#parts, ...at, draft: this.draft })
    return tokenResponse(minted, 'access', this.draft.id)
  }
}
