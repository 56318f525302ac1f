/**
 * `errand serve --workers 2`, as an operator runs it, on both stores: several processes behind one port are one broker. What
 * one has handed out, spent or revoked holds at the other; one that dies or hangs is replaced; a signal reaches all.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load-config.ts'
import { epochSeconds, systemClock } from '../../src/kernel/clock.ts'
import { operatorPrincipal } from '../../src/kernel/ids.ts'
import { WORKER_DEATHS_MAX, WORKER_SILENCE_MS_MAX } from '../../src/kernel/process-limits.ts'
import { loadKeys, rotate } from '../../src/keys/key-files.ts'
import { KeyRing } from '../../src/keys/key-ring.ts'
import { ADMIN_ROLES } from '../../src/model/admin-role.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { brokerAt, until } from '../support/broker-process.ts'
import { errand, isRefusedAt, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { holdRequest } from '../support/held-request.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { claimsOf, type Params, patient, registryDocument, TYPE, WAREHOUSE, World } from '../support/world.ts'

let idp: TestIssuer
let redis: RunningRedis
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  redis = await startRedis()
})
afterAll(async () => {
  await idp?.close()
  await redis?.stop()
})

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Running {
  readonly world: World
  readonly serving: Serving
  readonly directory: string
  workers(): readonly number[]
  managementToken(): Promise<string>
}

/** Each connection goes to the worker whose turn it is: a new one for each request meets all of them. */
const EACH = { Connection: 'close' }

async function serve(kind: 'embedded' | 'redis', directory = temporary()): Promise<Running> {
  const port = await freePort()
  const store = kind === 'redis' ? { kind, url: redis.url } : { kind, directory: './store' }
  const document = {
    issuer: `http://127.0.0.1:${port}`,
    listen: { port },
    environment: 'development',
    org: `org-${port}`,
    store,
    keys: { directory: './keys' },
    outbound: { allow_loopback: true },
  }
  writeFileSync(join(directory, 'errand.yaml'), JSON.stringify(document))
  writeFileSync(join(directory, 'registry.yaml'), JSON.stringify(registryDocument(idp)))
  const serving = await serveErrand(['--workers', '2', '--config', 'errand.yaml'], directory)
  closing.push(async () => {
    serving.signal('SIGKILL')
    await serving.ended
  })
  const config = loadConfig(join(directory, 'errand.yaml'))
  const { app } = brokerAt(config.settings.issuer)
  const request = (path: string, init: RequestInit = {}) =>
    app.request(path, { ...init, headers: { ...init.headers, ...EACH } })
  const broker = { app: { request } } as unknown as World['broker']
  // What a busy machine keeps a worker from for a moment is asked again.
  const world = patient(
    new World({
      clock: systemClock,
      idp,
      config,
      broker,
      directory: join(directory, 'none'),
      ownsIdp: false,
    }),
  )
  return {
    world,
    serving,
    directory,
    workers: () => childrenOf(serving.pid),
    async managementToken() {
      const ring = new KeyRing(await loadKeys(config.keys.directory, { development: true }))
      const now = epochSeconds(systemClock)
      const minter = new Minter(ring, config.settings)
      return (
        await minter.management({ operator: operatorPrincipal('tester'), roles: ADMIN_ROLES, now, expiresAt: now + 60 })
      ).token.reveal()
    },
  }
}

const continuing = (world: World, session: string): Params => ({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  ...world.authentication('orchestrator'),
  subject_token: session,
  subject_token_type: TYPE.session,
  resource: WAREHOUSE,
})

function temporary(): string {
  const directory = scratchDirectory('errand-workers-')
  closing.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === pid)
    .map(Number)
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return undefined // it has ended since it was listed
  }
}

const isThere = (pid: number) => parentOf(String(pid)) !== undefined

async function times<T>(count: number, act: (n: number) => Promise<T>): Promise<readonly T[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => act(n)))
}

/** A few at a time: this is no test of how much a busy machine can take at once. */
async function activeOf(world: World, tokens: readonly string[]): Promise<readonly unknown[]> {
  const answers: unknown[] = []
  for (let at = 0; at < tokens.length; at += 8) {
    const group = tokens.slice(at, at + 8)
    answers.push(...(await times(group.length, async (n) => (await world.introspect(group[n] ?? '')).body.active)))
  }
  return answers
}

describe.each(['embedded', 'redis'] as const)('two workers on the %s store', (kind) => {
  test('are one broker: single use holds, what one revokes is dead at the other, and one line says that all listen', async () => {
    const { world, serving, workers, managementToken } = await serve(kind)
    expect(workers()).toHaveLength(2)
    const ready = serving
      .written()
      .split('\n')
      .filter((line) => line.includes('"msg":"ready"'))
    expect(ready).toHaveLength(1)
    expect(JSON.parse(ready[0] ?? '')).toMatchObject({ workers: 2, pid: serving.pid, store: kind })

    const sessions = await times(8, () => world.opened())
    for (let round = 0; round < 6; round += 1) {
      const { session } = sessions[round] ?? { session: '' }
      const delegated = (await world.delegate(session)).body.access_token
      const accepted = await times(6, () => world.accept(delegated))
      expect(accepted.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400, 400])
      const params = {
        grant_type: 'client_credentials',
        ...world.authentication('orchestrator'),
        resource: `${world.issuer}/api`,
      }
      const replayed = await times(6, () => world.post('/token', params))
      expect(replayed.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401, 401, 401])
    }

    for (const { session, sid } of sessions) {
      const tokens = (await times(4, () => world.continue(session))).map(({ body }) => body.access_token)
      expect(new Set(tokens.map((token) => claimsOf(token)['sid']))).toEqual(new Set([sid]))
      expect((await world.revoke(session)).status).toBe(200)
      for (const token of tokens) {
        const answers = await times(4, () => world.introspect(token))
        expect(answers.map(({ body }) => body.active)).toEqual([false, false, false, false])
      }
      const continued = await times(4, () => world.continue(session))
      expect(continued.map(({ status }) => status)).toEqual([400, 400, 400, 400])
    }

    // A cut-off lives in each worker's memory only: this is the feed between them.
    const { session } = await world.opened()
    const token = (await world.continue(session)).body.access_token
    const kill = { dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator' }
    expect((await world.bearer('/admin/v1/revocations', await managementToken(), 'POST', kill)).status).toBe(200)
    const ms = await until(async () => {
      const answers = await times(6, () => world.introspect(token))
      return answers.every(({ body }) => body.active === false)
    }, 1_000)
    console.log(`${kind}: dead at every worker ${ms.toFixed(1)} ms after the answer`)
    const later = await times(6, () => world.introspect(token))
    expect(later.some(({ body }) => body.active)).toBe(false)
  })

  test('a worker killed with SIGKILL under load is replaced; nothing acknowledged is lost; SIGHUP and SIGTERM reach all', async () => {
    const { world, serving, workers, directory } = await serve(kind)
    const live: string[] = []
    const dead: string[] = []
    let running = true
    let lost = 0
    const load = times(4, async () => {
      while (running) {
        try {
          const { session } = await world.opened()
          const token = (await world.continue(session)).body.access_token
          live.push(token)
          const other = (await world.continue(session)).body.access_token
          if ((await world.revoke(other)).status === 200) dead.push(other)
        } catch {
          lost += 1 // its connection died with the worker: unknown, and not counted as acknowledged
        }
      }
    })
    for (let round = 0; round < 2; round += 1) {
      await until(async () => dead.length > 3 * (round + 1))
      const [victim = 0] = workers()
      process.kill(victim, 'SIGKILL')
      const replaced = () => serving.written().split('has taken the place').length - 1
      await until(async () => replaced() === round + 1)
      expect(workers()).toHaveLength(2)
      expect(workers()).not.toContain(victim)
      await until(async () => (await world.request('/readyz')).status === 200)
    }
    running = false
    await load
    console.log(
      `${kind}: ${live.length} tokens and ${dead.length} revokes acknowledged, ${lost} requests died with a worker`,
    )
    expect(dead.length).toBeGreaterThan(5)
    // Whoever was being answered by the one that died, and nobody else.
    expect(lost).toBeLessThanOrEqual(2 * 4)
    await until(async () =>
      (await times(4, () => world.introspect(live[0] ?? ''))).every(({ status }) => status === 200),
    )
    expect(await activeOf(world, live)).toEqual(live.map(() => true))
    expect(await activeOf(world, dead)).toEqual(dead.map(() => false))
    const deaths = serving
      .written()
      .split('\n')
      .filter((line) => line.includes('a worker died'))
    expect(deaths.map((line) => JSON.parse(line))).toMatchObject(
      Array(2).fill({ worker: expect.any(Number), how: 'SIGKILL' }),
    )

    const now = epochSeconds(systemClock)
    const { kid } = await rotate(join(directory, 'keys'), { class: 'access', alg: 'ES256', now, development: true })
    serving.signal('SIGHUP')
    const published = async () => {
      const answers = await times(6, () => world.request('/jwks'))
      return answers.every(({ body }) => body.keys.some((key: { kid: string }) => key.kid === kid))
    }
    await until(published)

    const { session } = await world.opened()
    const inFlight = Array.from({ length: 8 }, () => holdRequest(world.issuer, continuing(world, session)))
    await Promise.all(inFlight.map((one) => one.begun))
    const begun = performance.now()
    const all = workers()
    serving.signal('SIGTERM')
    await until(() => isRefusedAt(Number(new URL(world.issuer).port)))
    for (const { finish } of inFlight) finish()
    const answers = await Promise.all(inFlight.map(({ answer }) => answer))
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect(await serving.ended).toBe(0)
    expect(performance.now() - begun).toBeLessThan(10_000)
    expect(all.filter(isThere)).toEqual([])
    expect(serving.written().trimEnd().split('\n').at(-1)).toContain('stopped')
  })
})

/** Another process holds the lock of the store's file, as a writer that stands still does. */
async function holdStore(directory: string): Promise<void> {
  const script = `
    const { open } = await import(${JSON.stringify(import.meta.resolve('lmdb'))})
    const database = open({ path: ${JSON.stringify(join(directory, 'store', 'errand.mdb'))}, encoding: 'string' })
    database.transactionSync(() => {
      require('node:fs').writeSync(1, 'held')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const holder = spawn(process.execPath, ['-e', `(async () => {${script}})()`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  closing.push(() => holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
}

describe('one process', () => {
  test('ends at a second signal, whatever the first one waits for', async () => {
    const directory = temporary()
    const { serving: parent, world } = await serve('embedded', directory)
    parent.signal('SIGTERM')
    await parent.ended
    const serving = await serveErrand(['--config', 'errand.yaml'], directory)
    closing.push(() => serving.signal('SIGKILL'))
    await holdStore(directory)
    const writing = world.open().catch(() => undefined)
    await sleep(500)
    serving.signal('SIGTERM')
    await sleep(200)
    const begun = performance.now()
    serving.signal('SIGTERM')
    await serving.ended
    expect(performance.now() - begun).toBeLessThan(3_000)
    await writing
  })
})

describe('the parent', () => {
  test('refuses a second broker on its directory, and when it is killed its workers go with it and another may start', async () => {
    const { world, serving, workers, directory } = await serve('embedded')
    const { session } = await world.opened()
    const second = await errand(['serve', '--config', 'errand.yaml'], { cwd: directory })
    expect(second.code).toBe(1)
    expect(second.err).toContain('belongs to one process')
    const all = workers()
    serving.signal('SIGKILL')
    await serving.ended
    await until(async () => !all.some(isThere))
    const again = await serveErrand(['--config', 'errand.yaml'], directory)
    closing.push(async () => {
      again.signal('SIGTERM')
      await again.ended
    })
    expect((await world.continue(session)).status).toBe(200)
  })

  test('takes its workers with it in the middle of a write that waits for the store’s lock', async () => {
    const { world, serving, workers, directory } = await serve('embedded')
    await holdStore(directory)
    const all = workers()
    const writing = times(8, () => world.open().catch(() => undefined))
    await sleep(500)
    serving.signal('SIGKILL')
    await until(async () => !all.some(isThere))
    await writing
  })

  test('kills and replaces a worker that has been stopped, so that its lock holds nobody up for good', async () => {
    const { world, workers, serving } = await serve('embedded')
    const [stopped = 0] = workers()
    process.kill(stopped, 'SIGSTOP')
    await until(
      async () => workers().length === 2 && !workers().includes(stopped),
      WORKER_SILENCE_MS_MAX + PATIENCE_MS,
      100,
    )
    expect(serving.written()).toContain('a worker is silent')
    await until(async () => (await world.open().catch(() => undefined))?.status === 200)
  })

  test('gives up with an error where workers die again and again', async () => {
    const { serving, workers } = await serve('embedded')
    let running = true
    void serving.ended.then(() => {
      running = false
    })
    const killed = new Set<number>()
    while (running && killed.size < 100) {
      // Its parent may take a while to notice.
      for (const pid of workers().filter((one) => !killed.has(one))) {
        process.kill(pid, 'SIGKILL')
        killed.add(pid)
      }
      await sleep(20)
    }
    expect(await serving.ended).toBe(1)
    expect(killed.size).toBeGreaterThan(WORKER_DEATHS_MAX)
    expect(serving.written()).toContain('workers die as soon as they are started')
  })

  test('a configuration that cannot be used ends the start with the reason, once', async () => {
    const directory = temporary()
    const taken = await serve('embedded', directory)
    const { port } = taken.world.config.listen
    const other = temporary()
    const config = JSON.parse(readFileSync(join(directory, 'errand.yaml'), 'utf8'))
    writeFileSync(join(other, 'errand.yaml'), JSON.stringify({ ...config, listen: { port } }))
    writeFileSync(join(other, 'registry.yaml'), JSON.stringify(registryDocument(idp)))
    const refused = await errand(['serve', '--workers', '2', '--config', 'errand.yaml'], { cwd: other })
    expect(refused.code).toBe(1)
    expect(refused.err.match(/is in use: choose another/g)).toHaveLength(1)
  })
})
