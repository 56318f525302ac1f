/**
 * A PDP of somebody else's over TLS, with an authority of its own: answers AuthZEN Access Evaluations (1.0 §7) as it is told to,
 * asks for its bearer token, and misbehaves on demand.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExternalPdp } from '../../src/net/external-policy.ts'
import { makeAuthority } from './certificates.ts'
import type { Answer } from './issuer.ts'

const CREDENTIAL = 'pdp-credential'

/** One evaluation, as it arrived. */
export interface AskedOutside {
  readonly subject: { readonly type: string; readonly id: string }
  readonly action: { readonly name: string }
  readonly resource: { readonly type: string; readonly id: string; readonly properties: Record<string, unknown> }
  readonly context: Record<string, unknown>
}

export interface TestPdp {
  readonly pdp: ExternalPdp
  /** Bodies of all requests. */
  readonly bodies: { readonly evaluations: readonly AskedOutside[]; readonly options: unknown }[]
  /** Headers of all requests. */
  readonly headers: IncomingHttpHeaders[]
  /** What it says to each evaluation: a decision, or the whole member of the answer. */
  decide(policy: (asked: AskedOutside) => unknown): void
  misbehave(answer: Answer | undefined): void
  close(): Promise<void>
}

export const json = (body: unknown, status = 200): Answer => {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return (_request, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(text)
}

export async function startPdp(timeoutMs = 2_000): Promise<TestPdp> {
  const directory = mkdtempSync(join(tmpdir(), 'errand-pdp-'))
  const authority = await makeAuthority()
  const { certificate, key } = await authority.issue({ names: ['127.0.0.1'] })
  const credentialFile = join(directory, 'pdp.token')
  const caFile = join(directory, 'pdp-ca.crt')
  writeFileSync(credentialFile, `${CREDENTIAL}\n`)
  writeFileSync(caFile, authority.certificate)
  const bodies: TestPdp['bodies'] = []
  const headers: TestPdp['headers'] = []
  let policy: (asked: AskedOutside) => unknown = () => true
  let misbehaviour: Answer | undefined
  const server = createServer({ cert: certificate, key }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString())
      bodies.push(body)
      headers.push(request.headers)
      if (misbehaviour !== undefined) misbehaviour(request, response)
      else if (request.headers.authorization !== `Bearer ${CREDENTIAL}`) json({}, 401)(request, response)
      else json({ evaluations: body.evaluations.map(policy).map(asMember) })(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    pdp: { url: `https://127.0.0.1:${port}/access/v1/evaluations`, timeoutMs, credentialFile, caFile },
    bodies,
    headers,
    decide(next) {
      policy = next
    },
    misbehave(answer) {
      misbehaviour = answer
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function asMember(said: unknown): unknown {
  return typeof said === 'boolean' ? { decision: said } : said
}
