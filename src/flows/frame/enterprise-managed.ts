/**
 * Enterprise-managed authorization (DESIGN §3, flow 6): `jwt-bearer` with an ID-JAG. Gives one access token for one of the
 * MCP servers that the assertion names: what is requested ∩ what the assertion says ∩ policy.
 */
import type { Authority } from '../../authority/authority.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Agent } from '../../model/client.ts'
import type { IdJagEvidence } from '../../model/evidence.ts'
import type { Intent } from '../../model/intent.ts'
import type { Resource } from '../../model/resource.ts'
import { askedAuthority, assertIssuedFor, type Here } from '../../policy/asked.ts'
import type { Framed, FrameInput } from '../flow.ts'
import type { JwtBearerRequest } from '../token-request.ts'
import { narrowTo, openingIntent, toolsByResource } from './asked-authority.ts'
import { issueOpening, userOpening } from './opening.ts'
import { namedResources } from './targets.ts'

export function frameEnterpriseManaged(input: FrameInput<JwtBearerRequest, IdJagEvidence>): Framed {
  const { request, party, evidence, registry, settings, question } = input
  const here = { registry, environment: settings.environment }
  const target = soleAssertedTarget(request, evidence, here)
  const wanted = { kind: 'access', resource: target } as const
  const { intent, explicit } = openingIntent(request.details, standingIntent(party.agent, target), registry)
  const { opening, notAfter } = userOpening(input, intent, wanted)
  const ceiling = evidence.ceiling.kind === 'scopes' ? evidence.ceiling.scopes : undefined
  return {
    event: 'session.open',
    question: {
      ...question,
      agent: party.agent,
      chain: [],
      subject: evidence.principal,
      user: evidence.user,
      risk: evidence.risk,
      // Nothing can be delegated from it: the session has no handle, only this one access token.
      asked: narrowTo(
        askedAuthority(here, intent.tools, notAfter, 0),
        { resources: [target], scopes: [request.scope, ceiling] },
        registry,
      ),
      askedExplicitly: explicit,
      parent: assertedAuthority(evidence, notAfter, here),
      ceiling: undefined,
      target: target.url,
    },
    issue: (permit) => ({ ...issueOpening(opening, permit), shows: target.url }),
  }
}

/** Of the agent's entry where it speaks about the target, else of the target's: never both together. */
function standingIntent({ standingIntent: ofAgent }: Agent, target: Resource): Intent | undefined {
  return ofAgent?.tools.has(target.url) === true ? ofAgent : target.standingIntent
}

/** The one MCP server, of those the assertion names, that the request asks for; it need not say so where there is one only. */
function soleAssertedTarget(request: JwtBearerRequest, { targets }: IdJagEvidence, here: Here): Resource {
  const { registry, environment } = here
  const named = namedResources(request, registry, true)
  const urls = named.map(({ url }) => url)
  if (!urls.every((url) => targets.some((target) => target.url === url))) {
    throw new Rejection('resource_not_in_session', 'the assertion was not issued for the resource that is asked for')
  }
  const [target, ...others] = named.length === 0 ? targets : named
  if (target === undefined || others.length > 0) {
    throw new Rejection('target_ambiguous', 'an access token is for exactly one MCP server: name it with resource')
  }
  assertIssuedFor(target, environment)
  return target
}

/** What the assertion's own details bound, as the authority above: they may be tighter than any scope. */
function assertedAuthority({ details }: IdJagEvidence, notAfter: number, here: Here): Authority | undefined {
  if (details === undefined) return undefined
  return askedAuthority(here, toolsByResource(details, here.registry), notAfter, 0)
}
