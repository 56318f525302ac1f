/**
 * The agent library as the MCP conformance suite calls a client: the server's URL is the last argument, what a client would be
 * configured with is in the environment. The suite plays the MCP server and an authorization server that is not Errand.
 *
 * One thing it leaves out: which authorization server this client is configured for. It is taken from the server's own metadata
 * here, once, before the agent is made; the agent itself believes nobody about it.
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { type Credential, clientSecret, createAgent, privateKeyJwt, workloadJwt } from '../../src/sdk/agent/agent.ts'

interface Context {
  readonly client_id?: string
  readonly client_secret?: string
  readonly private_key_pem?: string
  readonly signing_algorithm?: string
  readonly valid_jwt?: string
  readonly idp_client_id?: string
  readonly idp_id_token?: string
  readonly idp_issuer?: string
}

const url = new URL(process.argv.at(-1) ?? '')
const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? ''
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Context

function credential(): Credential {
  const { client_id: clientId = 'conformance-client', client_secret: secret, valid_jwt: workload } = context
  if (workload !== undefined) return workloadJwt(() => workload, { asGrant: true })
  if (secret !== undefined) return clientSecret({ clientId, secret })
  const { private_key_pem: pem, signing_algorithm: alg = 'ES256' } = context
  const key = pem === undefined ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : createPrivateKey(pem)
  return privateKeyJwt({ clientId, key, alg })
}

/** What an operator would have written down. */
async function configuredIssuer(): Promise<string> {
  const places = [`${url.origin}/.well-known/oauth-protected-resource${url.pathname}`]
  const challenge = (await fetch(url, { method: 'POST', body: '{}' })).headers.get('www-authenticate')
  const named = /resource_metadata="([^"]+)"/.exec(challenge ?? '')?.[1]
  for (const place of [
    ...(named === undefined ? [] : [named]),
    ...places,
    `${url.origin}/.well-known/oauth-protected-resource`,
  ]) {
    const response = await fetch(place)
    if (!response.ok) continue
    const { authorization_servers: servers } = (await response.json()) as { authorization_servers?: string[] }
    if (servers?.[0] !== undefined) return servers[0]
  }
  return url.origin
}

const agent = createAgent({
  broker: await configuredIssuer(),
  credential: credential(),
  dpop: scenario.startsWith('auth/dpop'),
})

/** For the user whose ID token the suite has, where it has one. */
function caller(): { readonly fetch: typeof globalThis.fetch } {
  const { idp_client_id: clientId = '', idp_id_token: idToken, idp_issuer: issuer = '' } = context
  if (idToken === undefined) return agent
  // The suite's identity provider gives this client no credential.
  const atIdp: Credential = { clientId, authenticate: async () => ({ form: { client_id: clientId }, headers: {} }) }
  return agent.enterpriseUser({ idp: { issuer, credential: atIdp }, idToken })
}

const client = new Client({ name: 'errand-agent', version: '1' }, { versionNegotiation: { mode: 'auto' } })
await client.connect(new StreamableHTTPClientTransport(url, { fetch: caller().fetch }))
const { tools } = await client.listTools()
const [tool] = tools
if (tool !== undefined) await client.callTool({ name: tool.name, arguments: {} })
await client.close()
