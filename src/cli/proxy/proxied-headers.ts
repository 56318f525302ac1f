/** Which headers pass the proxy: those of MCP, and nothing that says who either side is. What is not named here stays behind. */
import type { IncomingHttpHeaders } from 'node:http'

/** Never among them: `authorization` and `cookie` of the client (the token is ours), `host`, what is hop by hop (RFC 9110 §7.6.1). */
const TO_SERVER =
  /^(?:accept|accept-language|content-type|last-event-id|user-agent|traceparent|tracestate|baggage|mcp-[a-z0-9-]+)$/
/** Never among them: `set-cookie`, and the server's `www-authenticate`: clients would start to sign in where they must not. */
const TO_CLIENT = /^(?:content-type|cache-control|retry-after|allow|mcp-[a-z0-9-]+)$/

export function toServer(headers: IncomingHttpHeaders): Headers {
  const passed = new Headers({ 'accept-encoding': 'identity' })
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string' && TO_SERVER.test(name)) passed.set(name, value)
  }
  return passed
}

export function toClient(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => TO_CLIENT.test(name)))
}
