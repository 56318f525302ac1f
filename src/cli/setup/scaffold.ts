/** The files of a new broker, with the comments that a person needs to change them. Pure: text in, text out. */
import { yamlFlowList, yamlFlowMap, yamlText } from '../yaml-text.ts'

export const PORT_DEFAULT = 4400

export interface ToolChoice {
  readonly name: string
  readonly category: string
}

export interface Choices {
  readonly issuer: string
  readonly port: number
  readonly environment: string
  readonly store: { readonly kind: 'embedded' } | { readonly kind: 'redis'; readonly url: string }
  readonly idp: IdpChoice | undefined
  readonly agent: { readonly clientId: string; readonly owner: string }
  readonly server: { readonly id: string; readonly url: string; readonly tools: readonly ToolChoice[] }
}

export interface IdpChoice {
  readonly issuer: string
  readonly jwksUri: string
  readonly slug: string
  /** Who may work through the agent at first. */
  readonly user: string
}

/** The user's own tokens for the broker name it so. */
const USER_AUDIENCE = 'errand'

export function configText({ issuer, port, environment, store }: Choices): string {
  const development = environment === 'development'
  const outbound = development
    ? 'outbound: { allow_loopback: true } # an IdP on this machine may be fetched from: in development only'
    : 'outbound: { allow_loopback: false }'
  return `# The broker's own configuration. \`errand check\` reads it without starting anything.
# Relative paths are relative to this file. A key that is not known here is an error, never ignored.

# The issuer identifier, byte for byte as clients see it. https; plain http only on loopback. No trailing slash.
issuer: ${yamlText(issuer)}

# Where it listens. Beyond this machine: with listen.tls, or behind a proxy that is listed below.
listen: { host: 127.0.0.1, port: ${port} }

# Agents of other environments are refused. The name \`development\` alone allows development keys and loopback issuers.
environment: ${yamlText(environment)}

# One machine: embedded. Several brokers: redis, by url (url_file where the URL holds a password), sentinel or cluster.
store: ${store.kind === 'embedded' ? '{ kind: embedded, directory: ./data }' : `{ kind: redis, url: ${JSON.stringify(store.url)} }`}

# Signing keys, by class. Keep them from everybody but the broker.
keys: { directory: ./keys }

# Who may do what. A list of files is one registry.
registry: ./registry.yaml

tokens:
  access_token_seconds: 300 # at most 900
  session_seconds: 3600 # at most 86400
  delegation_accept_seconds: 120 # at most 600: how long a sub-agent has to accept
  strictly_narrower: true # a delegation must give less than its giver has
  max_chain_depth: 5 # actors in one chain

log: { level: info }

# Proxies whose word on the client's address is believed: addresses or networks.
trusted_proxies: []

${outbound}
`
}

const section = (title: string): string => `# --- ${title} `.padEnd(118, '-')

/** @param key the agent's public key, as the registry writes it */
export function registryText(choices: Choices, key: Readonly<Record<string, string>>): string {
  return `# Who exists, and who may do what. Nothing empty, absent or unknown ever grants; an unknown key is an error.
# After a change: \`errand check\`, then \`errand policy apply\`.

${section('IdPs whose tokens are evidence, and their users')}
${idpSection(choices.idp)}
${section('MCP servers and their tools')}
# A tool without a category counts as \`admin\`. Its scope is mcp:tools:<category> unless written. Tools that read or write
# may be delegated to agents; destructive and admin tools only with \`delegable: true\`.
resources:
  - id: ${yamlText(choices.server.id)}
    url: ${yamlText(choices.server.url)}
    owner: ${yamlText(choices.agent.owner)}
    enforces: scope # what the server checks by itself: scope; with Errand's verifier, tools or arguments, and calls in live mode
    tools:
${choices.server.tools.map(({ name, category }) => `      ${yamlText(name)}: { category: ${category} }`).join('\n')}

${section('Agents')}
# \`errand agent add\` adds another one, with its key.
agents:
${agentSection(choices, key)}
${section('Grants: deny wins, order never matters')}
# Principals: user (<slug>:<sub>), group, role, agent, owner. A user needs an allow; an allow on an agent or owner only
# narrows it.
${grantSection(choices)}`
}

function idpSection(idp: IdpChoice | undefined): string {
  const example = idp === undefined
  const { issuer, jwksUri, slug, user } = idp ?? {
    issuer: 'https://idp.example',
    jwksUri: 'https://idp.example/jwks',
    slug: 'corp',
    user: 'alice',
  }
  const text = `issuers:
  - issuer: ${yamlText(issuer)}
    slug: ${yamlText(slug)} # users are user:${slug}:<sub>
    jwks_uri: ${yamlText(jwksUri)}
    algorithms: [RS256, ES256]
    # Which of its tokens count. An access token's scope is a \`ceiling\`, or says nothing (\`identity_only\`).
    accepts: { id_token: true }
    # The audience of tokens that users show to the broker itself, to see and revoke their sessions.
    user_audience: ${USER_AUDIENCE}
    # \`listed\`: only the users below. \`from_issuer\`: everyone the IdP vouches for, with no groups or roles.
    users: listed

users:
  - ${yamlFlowMap({ issuer: slug, sub: user })}
`
  return example ? `# None yet: agents work by themselves only. With one:\n${commented(text)}` : text
}

function agentSection({ agent, environment, idp, server }: Choices, key: Readonly<Record<string, string>>): string {
  const grantTypes = idp === undefined ? ['client_credentials'] : ['token-exchange', 'client_credentials']
  const upstream =
    idp === undefined
      ? `    # With an IdP: token-exchange among grant_types, and its client id there.
    # upstream: { corp: ${yamlText(agent.clientId)} }\n`
      : `    # Its client id at each IdP: tokens with that audience were meant for it.
    upstream: ${yamlFlowMap({ [idp.slug]: agent.clientId })}\n`
  return `  - client_id: ${yamlText(agent.clientId)}
    owner: ${yamlText(agent.owner)} # answers for what it does by itself
    environment: ${yamlText(environment)}
    keys: # public keys only; each is bound to a version of the agent
      - ${yamlFlowMap(key)}
    grant_types: ${yamlFlowList(grantTypes)}
    api_scopes: [sessions]
    # The most it may ever have, whoever it works for.
    manifest:
      - { server: ${yamlText(server.id)} }
${upstream}${standingIntent(server)}`
}

/** The mildest tools there are: what a client that cannot send authorization_details is taken to ask for. */
function standingIntent({ id, tools }: Choices['server']): string {
  const category = ['read', 'write'].find((name) => tools.some((tool) => tool.category === name))
  if (category === undefined) return ''
  const standing = tools.filter((tool) => tool.category === category)
  return `    # For requests without authorization_details: what they are taken to ask for.
    standing_intent:
      purpose: Try out this broker
      expires_in: 900
      tools:
        ${yamlText(id)}:
${standing.map(({ name }) => `          ${yamlText(name)}: {}`).join('\n')}
`
}

function grantSection({ idp, server }: Choices): string {
  const text = `grants:
  - id: first-grant
    effect: allow
    principals: [{ user: ${JSON.stringify(`${idp?.slug ?? 'corp'}:${idp?.user ?? 'alice'}`)} }]
    resources: [{ server: ${yamlText(server.id)} }]
    reason: The first user may use the first server
`
  return idp === undefined ? `${commented(text)}grants: []\n` : text
}

function commented(text: string): string {
  const lines = text.trimEnd().split('\n')
  return `${lines.map((line) => `# ${line}`.trimEnd()).join('\n')}\n`
}
