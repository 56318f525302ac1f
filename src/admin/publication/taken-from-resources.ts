/** What a new version takes from resources: from those who hold tokens for them. */
import { type Resource, type Tool, whyNotIssuedFor } from '../../model/resource.ts'
import { isSame } from './fingerprint.ts'
import type { TakenAway, Versions } from './taken.ts'

type Tools = Resource['tools']
type Rules = {
  readonly [K in keyof Resource]-?: (before: Resource[K], after: Resource[K], at: Both) => boolean
}
interface Both {
  readonly before: Resource
  readonly after: Resource
  readonly environment: string
}

const KEEPS = () => true
const ifSame = (before: unknown, after: unknown) => isSame(before, after)

/** Whether a change leaves what tokens are good for. Every member of a resource: one that is added has to say so. */
const RULES: Rules = {
  id: ifSame,
  url: ifSame,
  name: KEEPS,
  owner: KEEPS,
  project: ifSame,
  projects: ifSame,
  certifiedUntil: KEEPS,
  state: (_before, _after, at) => isIssuedFor(at),
  exposure: (_before, _after, at) => isIssuedFor(at),
  vendorReview: (_before, _after, at) => isIssuedFor(at),
  containers: ifSame,
  // Its tools are the worse classified for it, and that is compared.
  isClassified: KEEPS,
  serverClient: KEEPS,
  enforces: ifSame,
  authorizationServer: ifSame,
  mode: (_before, after) => after === 'shared',
  senderConstraint: (_before, after) => after === 'optional',
  revocationCheck: KEEPS,
  signingAlg: KEEPS,
  accessTokenLifetimeSeconds: (before, after) => after >= before,
  tools: (before, after, { after: resource }) => keepsTools(before, after, resource),
  // Read when a session opens: what one was opened for stays what it is for.
  standingIntent: KEEPS,
}

export function takenFromResource(
  before: Resource,
  { after: registry, environment }: Versions,
  taken: TakenAway,
): void {
  const what = `resource ${before.id}`
  const after = registry.resources.find(({ url }) => url === before.url)
  if (after === undefined) {
    taken.resource(before.url, `${what}: removed`)
    return
  }
  const rules = RULES as Readonly<Record<string, (before: unknown, after: unknown, at: Both) => boolean>>
  for (const [member, rule] of Object.entries(rules)) {
    const [from, to] = [before[member as keyof Resource], after[member as keyof Resource]]
    if (isSame(from, to) || rule(from, to, { before, after, environment })) continue
    taken.resource(before.url, `${what}: ${member}`)
  }
}

const isIssuedFor = ({ after, environment }: Both) => whyNotIssuedFor(after, environment) === undefined

function keepsTools(before: Tools, after: Tools, resource: Resource): boolean {
  const isKept = (tool: Tool) => {
    const now = after.get(tool.name)
    return (
      now !== undefined &&
      now.category === tool.category &&
      now.scope === tool.scope &&
      (now.delegable || !tool.delegable) &&
      (now.approval === 'none' || tool.approval === 'required') &&
      restIsSame(tool, now)
    )
  }
  if (![...before.values()].every(isKept)) return false
  // Whoever holds a scope could call what it newly opens: the server looks at nothing else.
  return resource.enforces !== 'scope' || before.size === after.size
}

function restIsSame(before: Tool, after: Tool): boolean {
  // What a budget leaves is asked at each call, not when a token is issued.
  const rest = { delegable: true, approval: 'none', budget: undefined }
  return isSame({ ...before, ...rest }, { ...after, ...rest })
}
