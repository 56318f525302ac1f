/** The shape of `store` in `errand.yaml`: embedded, or a Redis that is one server, behind Sentinel, or a cluster. */
import { z } from 'zod'
import { strictObject } from '../registry/strict-document.ts'

const REPLICAS_MAX = 5

const path = z.string().min(1)
const word = z.string().regex(/^[\w.-]{1,128}$/, 'must be 1 to 128 of A-Z a-z 0-9 _ . -')

const redisUrl = z.string().superRefine((value, context) => {
  const problem = redisUrlProblem(value) ?? (hasCredentials(value) ? PASSWORD_IN_FILE : undefined)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})

const PASSWORD_IN_FILE = 'must not carry a user name or password; put the whole URL in a file and name it in url_file'

/** An IPv6 address in brackets. */
const hostPort = z
  .string()
  .refine(
    (value) => /^(\[[0-9a-fA-F:]+\]|[\w.-]+):[0-9]{1,5}$/.test(value),
    'must be HOST:PORT, such as 10.0.0.5:26379',
  )

const sentinel = strictObject({
  name: word,
  hosts: z.array(hostPort).min(1).max(16),
  tls: z.boolean().default(false),
  username: word.optional(),
  password_file: path.optional(),
  sentinel_username: word.optional(),
  sentinel_password_file: path.optional(),
})

const cluster = strictObject({
  urls: z.array(redisUrl).min(1).max(16).optional(),
  urls_file: path.optional(),
}).refine(({ urls, urls_file }) => (urls === undefined) !== (urls_file === undefined), {
  error: 'needs exactly one of urls and urls_file',
})

export const store = z.discriminatedUnion('kind', [
  strictObject({ kind: z.literal('embedded'), directory: path }),
  strictObject({
    kind: z.literal('redis'),
    url: redisUrl.optional(),
    url_file: path.optional(),
    sentinel: sentinel.optional(),
    cluster: cluster.optional(),
    ca_file: path.optional(),
    replicas: z.int().min(0).max(REPLICAS_MAX).optional(),
  }).refine(
    ({ url, url_file, sentinel, cluster }) =>
      [url, url_file, sentinel, cluster].filter((given) => given !== undefined).length === 1,
    'needs exactly one of url, url_file, sentinel and cluster',
  ),
])

export function redisUrlProblem(text: string): string | undefined {
  const protocol = URL.canParse(text) ? new URL(text).protocol : undefined
  return protocol === 'redis:' || protocol === 'rediss:' ? undefined : 'must be a redis:// or rediss:// URL'
}

function hasCredentials(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { username, password, searchParams } = new URL(text)
  return username !== '' || password !== '' || searchParams.has('password') || searchParams.has('username')
}
