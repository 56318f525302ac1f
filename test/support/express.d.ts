/** As much of Express as the tests use: its types are a package of their own. */
declare module 'express' {
  import type { IncomingMessage, ServerResponse } from 'node:http'
  import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js'

  export interface Request extends IncomingMessage {
    body: unknown
    auth?: AuthInfo
    readonly originalUrl: string
  }
  export type RequestHandler = (req: Request, res: ServerResponse, next: (error?: unknown) => void) => unknown
  export interface Express {
    (req: IncomingMessage, res: ServerResponse): void
    use(...handlers: RequestHandler[]): this
    all(path: string, ...handlers: RequestHandler[]): this
    get(path: string, ...handlers: RequestHandler[]): this
  }
  function express(): Express
  namespace express {
    function json(): RequestHandler
  }
  export default express
}
