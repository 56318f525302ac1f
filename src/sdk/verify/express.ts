/**
 * The guard for Express, and the two pieces of it for a server that keeps the `requireBearerAuth` of MCP's SDK version 1.
 *
 * ```ts
 * app.use(mcpAuth({ verifier, tools: { query: 'mcp:tools:read' }, baseScope: 'mcp:tools:read' }))
 * app.post('/mcp', (req, res) => transport.handleRequest(req, res, req.body))
 * ```
 *
 * Whatever stands in front of it is open to everybody. `req.body` is what was judged: hand it on.
 */
import { InvalidTokenError, TemporarilyUnavailableError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import type { OAuthTokenVerifier } from '@modelcontextprotocol/sdk/server/auth/provider.js'
import { authInfoOf, verifiedOf } from './auth-info.ts'
import { resourceMetadataUrl } from './challenge.ts'
import { badMessage, badRequest, bodyTooLarge, noSuchSession, tokenNeeded, unavailable } from './guard/answers.ts'
import { createGate } from './guard/gate.ts'
import { BodyTooLarge, createGuard, type GuardOptions } from './guard/guard.ts'
import { BadMessage } from './guard/messages.ts'
import {
  asGuarded,
  bodyOf,
  headerOf,
  type Next,
  type NodeRequest,
  type NodeResponse,
  send,
  urlOf,
  watchNode,
} from './guard/node.ts'
import { ProtocolSessions, SESSION_HEADER } from './guard/protocol-sessions.ts'
import { TokenRefused } from './verified-token.ts'
import type { Verifier } from './verifier.ts'

export { type AuthExtra, type AuthInfo, verifiedOf } from './auth-info.ts'
export type { GuardOptions } from './guard/guard.ts'

export interface ExpressOptions extends GuardOptions {
  /** SHA-256 of the certificate that the client has shown, base64url, where TLS ends here or at a proxy that tells. */
  readonly certificateThumbprint?: (request: NodeRequest) => string | undefined
}

export type ExpressHandler = (request: NodeRequest, response: NodeResponse, next: Next) => void

/** All there is: metadata, token, methods, tools and arguments. Sets `req.auth`. */
export function mcpAuth(options: ExpressOptions): ExpressHandler & { readonly metadataPath: string } {
  const guard = createGuard(options, options.certificateThumbprint !== undefined)
  const handle = async (request: NodeRequest, response: NodeResponse, next: Next): Promise<void> => {
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (isRead && urlOf(request).split('?')[0] === guard.metadataPath) return send(response, guard.metadata)
    const verdict = await guard.admit(asGuarded(request, options.certificateThumbprint?.(request)))
    if (verdict.answer !== undefined) return send(response, verdict.answer)
    request.auth = verdict.authInfo
    watchNode(response, verdict)
    next()
  }
  const middleware: ExpressHandler = (request, response, next) => void handle(request, response, next).catch(next)
  return Object.assign(middleware, { metadataPath: guard.metadataPath })
}

/**
 * For `requireBearerAuth({ verifier: tokenVerifier(verifier), resourceMetadataUrl })`. Its errors are the SDK's own classes, by
 * which it tells 401 from 500. It has no 503: while nobody can say, it answers 400, and clients keep their token.
 */
export function tokenVerifier(verifier: Pick<Verifier, 'verify' | 'issuer' | 'resource'>): OAuthTokenVerifier {
  const { issuer, resource } = verifier
  return {
    verifyAccessToken: async (bearer) => {
      try {
        return authInfoOf(await verifier.verify(bearer), { issuer, resource, bearer })
      } catch (error) {
        if (error instanceof TokenRefused && error.kind === 'invalid') throw new InvalidTokenError(error.message)
        throw new TemporarilyUnavailableError('whether the token is good cannot be said at present')
      }
    },
  }
}

/** Behind `requireBearerAuth`: methods, tools and arguments. Refuses whatever was not verified by `tokenVerifier`. */
export function toolGate(options: GuardOptions): ExpressHandler {
  const { issuer, resource, senderConstraint } = options.verifier
  const resourceMetadata = resourceMetadataUrl(resource)
  const place = {
    issuer,
    resource,
    resourceMetadata,
    baseScope: options.baseScope,
    senderConstraint,
    certificates: false,
  }
  const gate = createGate(options)
  const sessions = new ProtocolSessions()
  const handle = async (request: NodeRequest, response: NodeResponse, next: Next): Promise<void> => {
    const { auth } = request
    const token = verifiedOf(auth)
    if (auth === undefined || token === undefined) return send(response, tokenNeeded(place))
    // The SDK's check has seen the first of them alone.
    if (headerOf(request)('authorization').length !== 1) {
      return send(response, badRequest('there must be one Authorization header'))
    }
    if (sessions.isOfAnother(headerOf(request)(SESSION_HEADER), token)) return send(response, noSuchSession())
    const opened = (id: string) => sessions.opened(id, token)
    if (request.method !== 'POST') return next()
    const { value: body } = await bodyOf(request)
    const passed = await gate.pass({ body, header: headerOf(request) }, { token, bearer: auth.token, resourceMetadata })
    if (passed.answer !== undefined) return send(response, passed.answer)
    watchNode(response, { opened, ...passed })
    next()
  }
  return (request, response, next) =>
    void handle(request, response, next).catch((error: unknown) => {
      if (error instanceof BadMessage) send(response, badMessage(error))
      else if (error instanceof BodyTooLarge) send(response, bodyTooLarge())
      else send(response, unavailable())
    })
}
