/** TokenReview against a TLS server that behaves like a cluster's API server, until it does not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  FETCH_TIMEOUT_MS,
  TOKEN_REVIEW_BYTES_MAX,
  TOKEN_REVIEW_KEPT_MS,
  TOKEN_REVIEWS_AT_ONCE_MAX,
} from '../../../src/kernel/outbound-limits.ts'
import type { Secret } from '../../../src/kernel/secret.ts'
import type { TokenReview } from '../../../src/model/token-review.ts'
import { createGuardedFetch } from '../../../src/net/guarded-fetch.ts'
import { ReviewUnavailable, TokenReviews } from '../../../src/net/token-reviews.ts'
import { type ApiServer, startApiServer } from '../../support/api-server.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { answerJson } from '../../support/issuer.ts'
import { sign } from '../../support/keys.ts'
import { KUBERNETES_ACCOUNT, KUBERNETES_POD, kubernetes } from '../../support/platforms/kubernetes.ts'
import { platformToken } from '../../support/platforms/platform.ts'

const AUDIENCE = 'https://errand.example'
const NOW = 1_795_000_000

let directory: string
let server: ApiServer
let cluster: TokenReview
let reviews: TokenReviews
let nowMs: number

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-cluster-'))
  server = await startApiServer(directory)
})
beforeEach(() => {
  const { url, credentialFile, caFile } = server
  cluster = { url, credentialFile, caFile, audiences: [AUDIENCE] }
  nowMs = NOW * 1000
  const clock = { nowMs: () => nowMs }
  reviews = new TokenReviews({ fetchJson: createGuardedFetch({ allowLoopback: true }), clock })
  server.pods.add(KUBERNETES_POD.uid)
})
afterEach(() => {
  server.misbehave(undefined)
  server.asked.length = 0
})
afterAll(async () => {
  await server.close()
  rmSync(directory, { recursive: true, force: true })
})

const projected = (audience = AUDIENCE): Secret => sign(platformToken(kubernetes, audience, NOW))

async function unavailable(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    (value) => new Error(`was answered: ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ReviewUnavailable)) throw error
  expect(`${error.message} ${error.cause}`).not.toContain('eyJ')
  return error.message
}

describe('a cluster that answers', () => {
  it('says whose token it is, and is asked with our audiences and our credential', async () => {
    const token = projected()
    expect(await reviews.review(token, cluster)).toEqual({
      username: 'system:serviceaccount:agents:report-agent',
      uid: KUBERNETES_ACCOUNT.uid,
      podUid: KUBERNETES_POD.uid,
    })
    expect(server.asked).toEqual([
      { authorization: 'Bearer reviewer-credential', spec: { token: token.reveal(), audiences: [AUDIENCE] } },
    ])
  })

  it('#44 a deleted pod: its token is refused as soon as the last yes is too old, and not believed again', async () => {
    const token = projected()
    expect(await reviews.review(token, cluster)).toBeDefined()
    server.pods.delete(KUBERNETES_POD.uid)
    nowMs += TOKEN_REVIEW_KEPT_MS - 1
    expect(await reviews.review(token, cluster)).toBeDefined()
    nowMs += 1
    expect(await reviews.review(token, cluster)).toBeUndefined()
    nowMs -= TOKEN_REVIEW_KEPT_MS
    expect(await reviews.review(token, cluster)).toBeUndefined()
  })

  it('a yes is kept for its token, its cluster and its audiences alone; a no is not kept', async () => {
    const token = projected()
    await reviews.review(token, cluster)
    await reviews.review(token, cluster)
    expect(server.asked).toHaveLength(1)
    await reviews.review(projected(), cluster)
    await reviews.review(token, { ...cluster, audiences: [AUDIENCE, 'https://other.example'] })
    expect(server.asked).toHaveLength(3)
    const other = { ...cluster, audiences: ['https://other.example'] }
    expect(await reviews.review(token, other)).toBeUndefined()
    expect(await reviews.review(token, other)).toBeUndefined()
    expect(server.asked).toHaveLength(5)
  })

  it('many at once with one token are one question', async () => {
    const token = projected()
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => reviews.review(token, cluster)))
    expect(new Set(verdicts).size).toBe(1)
    expect(server.asked).toHaveLength(1)
  })

  it('is asked with the credential that is in the file by now', async () => {
    const rotated = join(directory, 'rotated.token')
    writeFileSync(rotated, 'stale')
    const rotating = { ...cluster, credentialFile: rotated }
    await unavailable(reviews.review(projected(), rotating))
    writeFileSync(rotated, 'reviewer-credential')
    expect(await reviews.review(projected(), rotating)).toBeDefined()
  })
})

describe('an answer that is not a yes', () => {
  const review = (status: unknown, over: object = {}) => ({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    status,
    ...over,
  })
  const user = { username: 'system:serviceaccount:agents:report-agent', uid: KUBERNETES_ACCOUNT.uid }
  const yes = { authenticated: true, audiences: [AUDIENCE], user }

  it.each([
    ['authenticated is left out', review({ user: {} })],
    ['authenticated is false', review({ authenticated: false, user, audiences: [AUDIENCE] })],
    ['a server that does not know of audiences answers for its own', review({ authenticated: true, user })],
    ['for other audiences', review({ ...yes, audiences: ['https://kubernetes.default.svc'] })],
  ])('is a no: %s', async (_name, answer) => {
    server.misbehave((_request, response) => answerJson(response, answer))
    expect(await reviews.review(projected(), cluster)).toBeUndefined()
  })

  it.each([
    ['no object', []],
    ['of another kind', review(yes, { kind: 'SubjectAccessReview' })],
    ['of another version', review(yes, { apiVersion: 'authentication.k8s.io/v1beta1' })],
    ['without status', review(undefined)],
    ['a status that is text', review('yes')],
    ['authenticated by a word', review({ ...yes, authenticated: 'true' })],
    ['authenticated by a number', review({ ...yes, authenticated: 1 })],
    ['audiences that are text', review({ ...yes, audiences: AUDIENCE })],
    ['nobody', review({ ...yes, user: undefined })],
    ['an account without uid', review({ ...yes, user: { username: user.username } })],
    [
      'a pod that is a number',
      review({ ...yes, user: { ...user, extra: { 'authentication.kubernetes.io/pod-uid': [1] } } }),
    ],
    ['two pods', review({ ...yes, user: { ...user, extra: { 'authentication.kubernetes.io/pod-uid': ['a', 'b'] } } })],
  ])('is none: %s', async (_name, answer) => {
    server.misbehave((_request, response) => answerJson(response, answer))
    expect(await unavailable(reviews.review(projected(), cluster))).toBe(
      'the cluster did not answer with a TokenReview',
    )
  })

  it.each([
    ['an error', 500],
    ['not us (401)', 401],
    ['not this (403)', 403],
    ['a redirect', 307],
  ])('is none: %s', async (_name, status) => {
    server.misbehave((_request, response) =>
      response
        .writeHead(status, { 'content-type': 'application/json', location: cluster.url })
        .end(JSON.stringify(review(yes))),
    )
    await unavailable(reviews.review(projected(), cluster))
  })

  it('is none: a flood', async () => {
    server.misbehave((_request, response) => {
      response.writeHead(201, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ ...review(yes), metadata: 'x'.repeat(TOKEN_REVIEW_BYTES_MAX) }))
    })
    await unavailable(reviews.review(projected(), cluster))
  })

  it('is none: a duplicate member, of which the last would win elsewhere', async () => {
    const text = JSON.stringify(review(yes)).replace(
      '"authenticated":true',
      '"authenticated":false,"authenticated":true',
    )
    server.misbehave((_request, response) => response.writeHead(201, { 'content-type': 'application/json' }).end(text))
    await unavailable(reviews.review(projected(), cluster))
  })
})

describe('a cluster that cannot be asked', () => {
  it('does not answer in time; a later question is asked anew', async () => {
    server.misbehave(() => undefined)
    const startedMs = performance.now()
    await unavailable(reviews.review(projected(), cluster))
    expect(performance.now() - startedMs).toBeLessThan(FETCH_TIMEOUT_MS + 2_000)
    server.misbehave(undefined)
    expect(await reviews.review(projected(), cluster)).toBeDefined()
  })

  it('answers slowly: so many wait, and further ones are refused at once, without harm to another cluster', async () => {
    const held: (() => void)[] = []
    server.misbehave((_request, response) => held.push(() => answerJson(response, {})))
    const waiting = Array.from({ length: TOKEN_REVIEWS_AT_ONCE_MAX }, () => reviews.review(projected(), cluster))
    const settled = Promise.allSettled(waiting)
    const startedMs = performance.now()
    expect(await unavailable(reviews.review(projected(), cluster))).toMatch(/too many/)
    expect(performance.now() - startedMs).toBeLessThan(FETCH_TIMEOUT_MS / 2)
    // A cluster of another address is asked, although here nobody listens there.
    const other = { ...cluster, url: 'https://127.0.0.1:1/apis/authentication.k8s.io/v1/tokenreviews' }
    expect(await unavailable(reviews.review(projected(), other))).toMatch(/could not be asked/)
    while (held.length < TOKEN_REVIEWS_AT_ONCE_MAX) await new Promise((resolve) => setTimeout(resolve, 20))
    for (const answer of held) answer()
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true)
    server.misbehave(undefined)
    expect(await reviews.review(projected(), cluster)).toBeDefined()
  })

  it('shows a certificate of another authority: it is told nothing', async () => {
    const caFile = join(directory, 'other-ca.crt')
    writeFileSync(caFile, (await makeAuthority()).certificate)
    await unavailable(reviews.review(projected(), { ...cluster, caFile }))
    expect(server.asked).toEqual([])
  })

  it.each([
    ['is not there', undefined],
    ['is empty', ''],
    ['would write another header', 'reviewer-credential\r\nX-Admin: yes'],
  ])('with a credential file that %s', async (_name, text) => {
    const credentialFile = join(directory, 'broken.token')
    rmSync(credentialFile, { force: true })
    if (text !== undefined) writeFileSync(credentialFile, text)
    await unavailable(reviews.review(projected(), { ...cluster, credentialFile }))
    await unavailable(reviews.review(projected(), { ...cluster, credentialFile: directory }))
    expect(server.asked).toEqual([])
  })
})
