/**
 * A Kubernetes API server as far as a broker sees it, over TLS with an authority of its own: answers TokenReviews for the pods
 * it knows as authentication.k8s.io/v1 does (kubernetes.io, "TokenReview"), asks for the reviewer's bearer token, and
 * misbehaves on demand.
 */
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { makeAuthority } from './certificates.ts'
import type { Answer } from './issuer.ts'

const REVIEWER = 'reviewer-credential'
/** What the API server calls itself where nobody asks for another audience. */
const OWN_AUDIENCES = ['https://kubernetes.default.svc.cluster.local']

export interface ApiServer {
  readonly url: string
  readonly credentialFile: string
  readonly caFile: string
  /** Pods that exist, by uid. */
  readonly pods: Set<string>
  /** What the last question was, as it arrived. */
  readonly asked: { readonly authorization: string | undefined; readonly spec: unknown }[]
  misbehave(answer: Answer | undefined): void
  close(): Promise<void>
}

interface Bound {
  readonly namespace: string
  readonly serviceaccount: { readonly name: string; readonly uid: string }
  readonly pod?: { readonly name: string; readonly uid: string }
}

/** `directory`: where the broker finds its credential and the authority. */
export async function startApiServer(directory: string): Promise<ApiServer> {
  const authority = await makeAuthority()
  const { certificate, key } = await authority.issue({ names: ['127.0.0.1'] })
  const credentialFile = join(directory, 'reviewer.token')
  const caFile = join(directory, 'cluster-ca.crt')
  writeFileSync(credentialFile, `${REVIEWER}\n`)
  writeFileSync(caFile, authority.certificate)
  const pods = new Set<string>()
  const asked: ApiServer['asked'] = []
  let misbehaviour: Answer | undefined
  const server: Server = createServer({ cert: certificate, key }, (request, response) => {
    if (misbehaviour !== undefined) {
      misbehaviour(request, response)
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { authorization } = request.headers
      const answer = (status: number, document: unknown) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document))
      if (authorization !== `Bearer ${REVIEWER}`) {
        answer(401, { kind: 'Status', code: 401 })
        return
      }
      const review = JSON.parse(Buffer.concat(chunks).toString())
      asked.push({ authorization, spec: review.spec })
      answer(201, { ...review, metadata: {}, status: statusOf(review.spec, pods) })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}/apis/authentication.k8s.io/v1/tokenreviews`,
    credentialFile,
    caFile,
    pods,
    asked,
    misbehave(answer) {
      misbehaviour = answer
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

function statusOf({ token, audiences = OWN_AUDIENCES }: { token: string; audiences?: string[] }, pods: Set<string>) {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  const bound: Bound = claims['kubernetes.io']
  const compatible = audiences.filter((audience) => claims.aud.includes(audience))
  if (compatible.length === 0) return { user: {}, error: '[invalid bearer token, token audiences are for others]' }
  if (bound.pod !== undefined && !pods.has(bound.pod.uid)) {
    return { user: {}, error: '[invalid bearer token, service account token has been invalidated]' }
  }
  return {
    authenticated: true,
    audiences: compatible,
    user: {
      username: `system:serviceaccount:${bound.namespace}:${bound.serviceaccount.name}`,
      uid: bound.serviceaccount.uid,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${bound.namespace}`, 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`],
        ...(bound.pod === undefined
          ? {}
          : {
              'authentication.kubernetes.io/pod-name': [bound.pod.name],
              'authentication.kubernetes.io/pod-uid': [bound.pod.uid],
            }),
      },
    },
  }
}
