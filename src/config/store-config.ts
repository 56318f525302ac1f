/** The store of a configuration: its files read, and what must agree with each other compared. */
import type { z } from 'zod'
import { Secret } from '../kernel/secret.ts'
import type { StoreConfig } from './config.ts'
import { redisUrlProblem, type store } from './store-schema.ts'

type StoreDocument = z.output<typeof store>
type RedisDocument = Extract<StoreDocument, { kind: 'redis' }>

/** The text of a file that a setting names; `undefined`: it cannot be read, which is among the problems. */
export interface NamedFiles {
  path(given: string): string
  text(setting: string, path: string): string | undefined
  secret(setting: string, path: string): string | undefined
}

export function storeOf(document: StoreDocument, files: NamedFiles, problems: string[]): StoreConfig {
  if (document.kind === 'embedded') return { kind: 'embedded', directory: files.path(document.directory) }
  const ca = document.ca_file === undefined ? undefined : files.text('store.ca_file', document.ca_file)
  const { sentinel, cluster } = document
  // Where servers replace each other, what only one of them has is lost with it: that it may be takes a word of the operator's.
  const replicas = document.replicas ?? (sentinel === undefined && cluster === undefined ? 0 : 1)
  const common = { kind: 'redis', replicas, ...(ca === undefined ? {} : { ca }) } as const
  if (sentinel !== undefined) {
    if (ca !== undefined && !sentinel.tls) problems.push('store.ca_file: goes with store.sentinel.tls')
    return { ...common, sentinel: sentinelOf(sentinel, files) }
  }
  const setting = cluster === undefined ? 'store.url_file' : 'store.cluster.urls_file'
  const texts = cluster === undefined ? urlsIn(document, files) : (cluster.urls ?? linesOf(setting, cluster, files))
  // Says what is wanted and never what is there: the text may be a password that was pasted into the wrong file.
  const problem = texts.map(redisUrlProblem).find((one) => one !== undefined)
  if (problem !== undefined) problems.push(`${setting}: the file's content ${problem}`)
  if (ca !== undefined && !texts.every((url) => url.startsWith('rediss:'))) {
    problems.push('store.ca_file: goes with a rediss:// URL')
  }
  if (cluster === undefined) return { ...common, url: new Secret(texts[0] ?? '') }
  if (problem === undefined) problems.push(...disagreements(texts))
  return { ...common, cluster: texts.map((text) => new Secret(text)) }
}

type SentinelDocument = NonNullable<RedisDocument['sentinel']>
type ClusterDocument = NonNullable<RedisDocument['cluster']>

function sentinelOf(given: SentinelDocument, files: NamedFiles) {
  const { name, hosts, tls, username, sentinel_username: sentinelUsername } = given
  const secret = (setting: 'password_file' | 'sentinel_password_file') => {
    const path = given[setting]
    return path === undefined ? undefined : new Secret(files.secret(`store.sentinel.${setting}`, path) ?? '')
  }
  const password = secret('password_file')
  const sentinelPassword = secret('sentinel_password_file')
  return {
    name,
    hosts,
    tls,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
  }
}

/** None where it cannot be read: that is a problem already. */
function urlsIn({ url, url_file }: RedisDocument, files: NamedFiles): readonly string[] {
  const text = url_file === undefined ? url : files.secret('store.url_file', url_file)
  return text === undefined ? [] : [text]
}

/** One URL in each line. */
function linesOf(setting: string, { urls_file = '' }: ClusterDocument, files: NamedFiles) {
  const text = files.secret(setting, urls_file)
  return text === undefined ? [] : text.split(/\s+/)
}

/** The nodes learnt from a seed are reached as it is: with its credentials, by TLS or not. */
function disagreements(texts: readonly string[]): readonly string[] {
  const urls = texts.map((text) => new URL(text))
  const ways = new Set(urls.map(({ protocol, username, password }) => JSON.stringify([protocol, username, password])))
  return [
    ...(ways.size > 1 ? ['store.cluster: its URLs must agree in rediss:// or redis://, user name and password'] : []),
    ...(urls.some(({ pathname }) => !['', '/', '/0'].includes(pathname))
      ? ['store.cluster: a Redis Cluster has database 0 only']
      : []),
  ]
}
