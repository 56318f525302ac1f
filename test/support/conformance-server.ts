/** An MCP server of SDK 2 with what the conformance suite asks of tools, resources, prompts and completion. Of itself it knows no token. */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  completable,
  createMcpHandler,
  fromJsonSchema,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server'
import { z } from 'zod'

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAESsAACJWAAACABAAZGF0YQAAAAA='

export const READING_TOOLS = [
  'test_simple_text',
  'test_image_content',
  'test_audio_content',
  'test_embedded_resource',
  'test_multiple_content_types',
  'test_tool_with_logging',
  'test_tool_with_progress',
  'test_error_handling',
  'slow_stream',
  'in_region',
]

export const conformanceHandler = () => createMcpHandler(conformanceServer)

function conformanceServer(): McpServer {
  const server = new McpServer(
    { name: 'conformance', version: '1.0.0' },
    { capabilities: { logging: {}, tools: {}, resources: {}, prompts: {}, completions: {} } },
  )
  addTools(server)
  addStreams(server)
  addResources(server)
  addPrompts(server)
  return server
}

const text = (value: string) => ({ type: 'text' as const, text: value })
const image = { type: 'image' as const, data: PNG, mimeType: 'image/png' }
const embedded = (uri: string, mimeType: string, value: string) => ({
  type: 'resource' as const,
  resource: { uri, mimeType, text: value },
})

function addTools(server: McpServer): void {
  const returning = (name: string, content: readonly object[]) =>
    server.registerTool(name, { description: name }, async () => ({ content: [...content] as never[] }))
  returning('test_simple_text', [text('This is a simple text response for testing.')])
  returning('test_image_content', [image])
  returning('test_audio_content', [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }])
  returning('test_embedded_resource', [
    embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'),
  ])
  returning('test_multiple_content_types', [
    text('Multiple content types test:'),
    image,
    embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
  ])
  returning('edit_page', [text('edited')])
  const region = { type: 'string', 'x-mcp-header': 'Region' }
  const inRegion = fromJsonSchema<{ region: string }>({ type: 'object', properties: { region }, required: ['region'] })
  server.registerTool(
    'in_region',
    { description: 'mirrors a header', inputSchema: inRegion },
    async ({ region: at }) => ({
      content: [text(at)],
    }),
  )
  server.registerTool('test_error_handling', { description: 'fails' }, async () => ({
    isError: true,
    content: [text('This tool intentionally returns an error for testing')],
  }))
}

function addStreams(server: McpServer): void {
  server.registerTool('test_tool_with_logging', { description: 'logs' }, async (context) => {
    for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await context.mcpReq.log('info', line)
      await sleep(50)
    }
    return { content: [text('logged')] }
  })
  const report = async (context: Parameters<Parameters<McpServer['registerTool']>[2]>[0], pauseMs: number) => {
    const { mcpReq } = context as {
      mcpReq: { _meta?: { progressToken?: string | number }; notify(n: object): Promise<void> }
    }
    const progressToken = mcpReq._meta?.progressToken
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined)
        await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } })
      await sleep(pauseMs)
    }
    return { content: [text('done')] }
  }
  server.registerTool('test_tool_with_progress', { description: 'tells how far it is' }, (context) =>
    report(context, 50),
  )
  server.registerTool('slow_stream', { description: 'the same, slower' }, (context) => report(context, 400))
}

function addResources(server: McpServer): void {
  const plain = { description: 'static', mimeType: 'text/plain' }
  server.registerResource('text', 'test://static-text', plain, async ({ href: uri }) => ({
    contents: [{ uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
  }))
  const binary = { description: 'static', mimeType: 'image/png' }
  server.registerResource('binary', 'test://static-binary', binary, async ({ href: uri }) => ({
    contents: [{ uri, mimeType: 'image/png', blob: PNG }],
  }))
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined })
  const config = { description: 'by id', mimeType: 'application/json' }
  server.registerResource('template', template, config, async ({ href: uri }, { id }) => ({
    contents: [
      {
        uri,
        mimeType: 'application/json',
        text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` }),
      },
    ],
  }))
}

function addPrompts(server: McpServer): void {
  const user = (content: object) => ({ role: 'user' as const, content: content as never })
  server.registerPrompt('test_simple_prompt', { description: 'simple' }, async () => ({
    messages: [user(text('This is a simple prompt for testing.'))],
  }))
  const argument = completable(z.string(), (value) => ['paris', 'park', 'party'].filter((one) => one.startsWith(value)))
  const two = z.object({ arg1: argument, arg2: z.string() })
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'two arguments', argsSchema: two },
    async ({ arg1, arg2 }) => ({
      messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
    }),
  )
  const one = z.object({ resourceUri: z.string() })
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'a resource', argsSchema: one },
    async ({ resourceUri }) => ({
      messages: [
        user(embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.')),
        user(text('Please process the embedded resource above.')),
      ],
    }),
  )
  server.registerPrompt('test_prompt_with_image', { description: 'an image' }, async () => ({
    messages: [user(image), user(text('Please analyze the image above.'))],
  }))
}
