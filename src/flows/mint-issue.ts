/** Step 7: what a flow wants issued, minted as what it is. */
import type { MintedToken } from '../model/minted.ts'
import { inStep } from '../model/trace.ts'
import type { Minter } from '../tokens/minter.ts'
import type { Issue } from './flow.ts'

export function mintIssue(issue: Issue, minter: Minter): Promise<MintedToken> {
  return inStep('mint', () => mintAs(issue, minter))
}

function mintAs({ mint, order }: Issue, minter: Minter): Promise<MintedToken> {
  switch (mint.kind) {
    case 'access':
      return minter.access(order, mint.resource.signingAlg)
    case 'id_jag': {
      const { resource, server, clientId } = mint
      // A server that looks at scopes only knows no other details, and might refuse what it does not know.
      const carriesDetails = resource.enforces !== 'scope'
      return minter.idJag(order, { clientId, resource: resource.url, carriesDetails }, server.signingAlg)
    }
    case 'session':
      return minter.session(order)
    case 'delegation':
      return minter.delegation(order, mint.jti)
  }
}
