/** A small policy that makes sense, to be broken one way at a time. */
import { developmentConfig } from '../../../src/config/development.ts'
import { publicJwk, testKey } from '../../support/keys.ts'

type Entry = Record<string, unknown>

export const testSettings = developmentConfig({
  port: 4400,
  store: { kind: 'embedded', directory: 'unused' },
  keysDirectory: 'unused',
}).settings

export function validDocument(): Record<'issuers' | 'users' | 'resources' | 'agents' | 'grants', Entry[]> {
  return {
    issuers: [
      {
        issuer: 'https://idp.example',
        slug: 'corp',
        jwks_uri: 'https://idp.example/jwks',
        accepts: { id_token: true },
        user_audience: 'errand',
      },
    ],
    users: [{ issuer: 'corp', sub: 'alice', groups: ['staff'] }],
    resources: [
      { id: 'notes', url: 'https://notes.example/mcp', owner: 'ops', tools: { search: { category: 'read' } } },
    ],
    agents: [
      {
        client_id: 'writer',
        owner: 'alice',
        environment: 'development',
        keys: [{ ...publicJwk(testKey('writer-key')), version: '1' }],
        grant_types: ['token-exchange'],
        manifest: [{ server: 'notes' }],
        upstream: { corp: 'writer-app' },
      },
    ],
    grants: [{ id: 'readers', effect: 'allow', principals: [{ group: 'staff' }], resources: [{ server: 'notes' }] }],
  }
}
