/**
 * TLS of the broker's own, spoken for real: version 1.2 or later, a certificate that is replaced without a dropped connection,
 * and files that are refused with what to do; and a Redis behind TLS whose authority is private.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { readCertificate, watchCertificate } from '../../src/operate/certificate.ts'
import { openRedisStore } from '../../src/store/redis-store.ts'
import { type Authority, makeAuthority, writeCertificate } from '../support/certificates.ts'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { type OwnBroker, writeOwnBroker } from '../support/own-broker.ts'
import { startRedis } from '../support/redis.ts'

let authority: Authority
const directories: string[] = []
const temporary = () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-tls-'))
  directories.push(directory)
  return directory
}
beforeAll(async () => {
  authority = await makeAuthority()
})
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

describe('a broker that speaks TLS by itself', () => {
  let own: OwnBroker
  let broker: Serving
  let port: number
  beforeAll(async () => {
    port = await freePort()
    own = writeOwnBroker({
      listen: { host: '127.0.0.1', port, tls: { certificate_file: './tls.crt', key_file: './tls.key' } },
    })
    directories.push(own.directory)
    writeCertificate(own.directory, await authority.issue({}))
    broker = await serveErrand(['--config', own.configFile], own.directory)
  })
  afterAll(() => broker.signal('SIGKILL'))

  const handshake = (options: ConnectionOptions = {}): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', ca: authority.certificate, ...options }, () => {
        resolve(`${socket.getProtocol()} ${socket.getPeerCertificate().serialNumber}`)
        socket.end()
      })
      socket.once('error', reject)
    })

  const get = (path: string, agent?: Agent): Promise<{ status: number; reused: boolean }> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ port, path, ca: authority.certificate, ...(agent === undefined ? {} : { agent }) })
      outgoing.once('response', (answer) => {
        answer.resume()
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, reused: outgoing.reusedSocket }))
      })
      outgoing.once('error', reject)
      outgoing.end()
    })

  test('answers over TLS 1.3 and 1.2, and to nothing older, nor to ciphers without forward secrecy (RFC 9325)', async () => {
    expect((await get('/readyz')).status).toBe(200)
    expect(await handshake()).toMatch(/^TLSv1\.3 /)
    expect(await handshake({ maxVersion: 'TLSv1.2' })).toMatch(/^TLSv1\.2 /)
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(handshake(old)).rejects.toThrow()
    await expect(handshake({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' })).rejects.toThrow()
    await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow()
  })

  test('operators reach it at its own address, trusting exactly its certificate', async () => {
    const listed = await errand(['sessions', '--config', own.configFile, '--json'], { cwd: own.directory })
    expect(listed).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(listed.out)).toEqual({ sessions: [] })
  })

  test('a replaced certificate is served from the next handshake on; the old one until it can be; nothing is dropped', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    expect((await get('/healthz', agent)).status).toBe(200)
    const before = await handshake()
    writeFileSync(join(own.directory, 'tls.crt'), 'half a certif')
    broker.signal('SIGHUP')
    await expect.poll(() => broker.written()).toContain('the old one stays')
    expect(await handshake()).toBe(before)
    writeCertificate(own.directory, await authority.issue({ days: 20 }))
    broker.signal('SIGHUP')
    await expect.poll(() => handshake()).not.toBe(before)
    expect(await get('/healthz', agent)).toEqual({ status: 200, reused: true })
    agent.destroy()
    expect(broker.written()).not.toContain('PRIVATE')
  })

  test('stops well', async () => {
    broker.signal('SIGTERM')
    expect(await broker.ended).toBe(0)
  })
})

describe('the files', () => {
  test('what cannot be served is refused at start, saying what to do', async () => {
    const directory = temporary()
    const good = writeCertificate(directory, await authority.issue({}))
    const refusal = async (files: Partial<typeof good>) =>
      readCertificate({ ...good, ...files }, systemClock).then(
        () => 'served',
        (fault: Error) => fault.message,
      )
    expect(await refusal({})).toBe('served')
    const other = writeCertificate(directory, await authority.issue({}), 'other')
    expect(await refusal({ keyFile: other.keyFile })).toMatch(/is not the key of the first certificate/)
    const ended = writeCertificate(directory, await authority.issue({ days: -1, since: 9 }), 'ended')
    expect(await refusal(ended)).toMatch(/ended at .*: renew it/)
    expect(await refusal({ certificateFile: good.keyFile })).toMatch(/not a certificate in PEM form/)
    expect(await refusal({ keyFile: good.certificateFile })).toMatch(/not a private key|lets everybody/)
    expect(await refusal({ keyFile: join(directory, 'none') })).toMatch(/cannot be read \(ENOENT\)/)
    chmodSync(good.keyFile, 0o644)
    expect(await refusal({})).toMatch(/mode 644 lets everybody read the private key; run chmod 600 on it/)
  })

  test('are read again when they change, and their end is told ahead', async () => {
    const directory = temporary()
    const files = writeCertificate(directory, await authority.issue({ days: 13 }))
    const told: string[] = []
    const listener = {
      changed: () => told.push('changed'),
      refused: (problem: string) => told.push(problem),
      ending: () => told.push('ending'),
    }
    const first = await readCertificate(files, systemClock)
    const watch = watchCertificate(files, first, { clock: systemClock, listener, everyMs: 10 })
    await expect.poll(() => told).toEqual(['ending'])
    await sleep(50)
    writeCertificate(directory, await authority.issue({ days: 29 }))
    await expect.poll(() => told.at(-1)).toBe('changed')
    await sleep(50)
    watch.stop()
    expect(told.filter((one) => one === 'ending')).toHaveLength(1)
  })

  test('a broker that others could reach in plain http does not start, until somebody is named who ends TLS', async () => {
    const listen = { host: '0.0.0.0', port: await freePort() }
    const open = writeOwnBroker({ listen })
    directories.push(open.directory)
    const refused = await errand(['check', '--config', open.configFile], { cwd: open.directory })
    expect(refused.code).not.toBe(0)
    expect(refused.err + refused.out).toContain('others than this machine would speak plain http to it')
    const behind = writeOwnBroker({ listen, trusted_proxies: ['10.0.0.0/8'] })
    directories.push(behind.directory)
    expect((await errand(['check', '--config', behind.configFile], { cwd: behind.directory })).code).toBe(0)
  })
})

test('Redis behind TLS of a private authority is trusted by store.ca_file, and by nothing less', async () => {
  const directory = temporary()
  const server = writeCertificate(directory, await authority.issue({}))
  const caFile = join(directory, 'ca.crt')
  writeFileSync(caFile, authority.certificate)
  const tlsPort = await freePort()
  const tls = [
    '--tls-port',
    String(tlsPort),
    '--tls-cert-file',
    server.certificateFile,
    '--tls-key-file',
    server.keyFile,
  ]
  const redis = await startRedis({ args: [...tls, '--tls-ca-cert-file', caFile, '--tls-auth-clients', 'no'] })
  try {
    const url = `rediss://127.0.0.1:${tlsPort}`
    const store = await openRedisStore({ url, org: 'tls', ca: authority.certificate })
    const feed = await store.control.follow({
      snapshot: () => undefined,
      written: () => undefined,
      confirmed: () => undefined,
    })
    expect((await store.ping()).nowMs).toBeGreaterThan(0)
    await feed.stop()
    await store.close()
    const foreign = (await makeAuthority()).certificate
    await Promise.all(
      [{}, { ca: foreign }].map((ca) =>
        expect(openRedisStore({ url, org: 'tls', ...ca })).rejects.toThrow(/not ready within .*certificate/),
      ),
    )
  } finally {
    await redis.stop()
  }
})
