/** How the demo's agents call tools: an unmodified MCP SDK client with a bearer token. */
import {
  Client,
  InsufficientScopeError,
  SdkHttpError,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'

export interface ToolUse {
  readonly url: string
  readonly token: string
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
}

export type ToolOutcome =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly status: number; readonly description: string }

export async function callTool(agent: string, use: ToolUse): Promise<ToolOutcome> {
  let unauthorized: ToolOutcome | undefined
  const transport = new StreamableHTTPClientTransport(new URL(use.url), {
    onInsufficientScope: 'throw',
    authProvider: {
      token: async () => use.token,
      onUnauthorized: async ({ response }) => {
        const description = challengeDescription(response.headers.get('www-authenticate'))
        unauthorized = { ok: false, status: 401, description }
        throw new Error('the agent has no other token')
      },
    },
  })
  const client = new Client({ name: agent, version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
  try {
    await client.connect(transport)
    const result = await client.callTool({ name: use.tool, arguments: { ...use.arguments } })
    const text = result.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n')
    return result.isError === true ? { ok: false, status: 200, description: text } : { ok: true, text }
  } catch (error) {
    return unauthorized ?? forbidden(error)
  } finally {
    await client.close()
  }
}

/** @throws what was no refusal: a fault is not a story. */
function forbidden(error: unknown): ToolOutcome {
  if (error instanceof InsufficientScopeError) {
    return { ok: false, status: 403, description: error.errorDescription ?? 'insufficient scope' }
  }
  if (error instanceof SdkHttpError && (error.status === 403 || error.status === 503)) {
    return { ok: false, status: error.status, description: bodyDescription(error.data.text) }
  }
  throw error
}

function challengeDescription(header: string | null): string {
  return /error_description="([^"]*)"/.exec(header ?? '')?.[1] ?? 'unauthorized'
}

function bodyDescription(text: unknown): string {
  try {
    const body: unknown = JSON.parse(String(text))
    return String((body as { error_description?: unknown }).error_description ?? 'forbidden')
  } catch {
    return 'forbidden'
  }
}
