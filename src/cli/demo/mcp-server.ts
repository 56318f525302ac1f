/**
 * An MCP server of the demo: the MCP SDK over streamable HTTP behind the verifier's guard. One of the two is built with the SDK's
 * version 2, the other with version 1, because that is where most servers are.
 */
import type { Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { guarded, type Serve } from '../../sdk/verify/guard/web.ts'
import { createVerifier, type Introspection } from '../../sdk/verify/verifier.ts'
import type { DemoTool } from './mcp-tools.ts'

export interface McpServerOptions {
  readonly name: string
  readonly sdk: 'v1' | 'v2'
  readonly issuer: string
  /** Its URL, as registered with the broker. */
  readonly resource: string
  readonly tools: readonly DemoTool[]
  readonly baseScope: string
  readonly introspection: Introspection
}

/** Answers on `server`, which listens already: the resource's URL is registered before the broker is there to verify. */
export function serveMcp(server: Server, options: McpServerOptions): void {
  const { issuer, resource, tools, baseScope, introspection } = options
  const verifier = createVerifier({ issuer, resource, introspection })
  const scopes = Object.fromEntries(tools.map((tool) => [tool.name, tool.scope]))
  const serve = options.sdk === 'v2' ? serveV2(options) : serveV1(options)
  const listener = getRequestListener(guarded({ verifier, tools: scopes, baseScope, filterTools: true }, serve))
  server.on('request', (request, response) => void listener(request, response))
}

function serveV2({ name, tools }: McpServerOptions): Serve {
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name, version: '1.0.0' })
    for (const tool of tools) {
      server.registerTool(tool.name, { description: tool.description, inputSchema: tool.input }, async (input) =>
        asContent(tool.run(input)),
      )
    }
    return server
  })
  return handler.fetch
}

function serveV1({ name, tools }: McpServerOptions): Serve {
  return async (request, judged) => {
    const server = new McpServerV1({ name, version: '1.0.0' })
    for (const tool of tools) {
      server.registerTool(tool.name, { description: tool.description, inputSchema: tool.input.shape }, async (input) =>
        asContent(tool.run(input)),
      )
    }
    // Stateless: one server and one transport per request, answered with plain JSON.
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
    await server.connect(transport)
    return transport.handleRequest(request, judged)
  }
}

function asContent(result: unknown) {
  return { content: [{ type: 'text' as const, text: JSON.stringify(result) }] }
}
