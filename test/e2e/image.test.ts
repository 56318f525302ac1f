/**
 * The image and the compose file, as far as they can be tried without an engine: what they name exists, they take every
 * privilege away that they can, and a tree that holds only what the image would hold runs from read-only files, as a user
 * without rights, on the compose file's own configuration, with its Redis and its secrets.
 */
import { execFileSync, spawn } from 'node:child_process'
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { until } from '../support/broker-process.ts'
import { builtPackage } from '../support/built.ts'
import { makeAuthority } from '../support/certificates.ts'
import { COMMANDS } from '../support/commands.ts'
import { freePort } from '../support/free-port.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

interface Instruction {
  readonly name: string
  readonly rest: string
  readonly stage: number
}

const dockerfile: readonly Instruction[] = (() => {
  let stage = -1
  return read('deploy/Dockerfile')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', ...rest] = line.split(' ')
      if (name === 'FROM') stage += 1
      return { name, rest: rest.join(' '), stage }
    })
})()
const last = Math.max(...dockerfile.map(({ stage }) => stage))
const all = (name: string, stage?: number) =>
  dockerfile.filter((one) => one.name === name && (stage === undefined || one.stage === stage)).map(({ rest }) => rest)

/** A command line of ours: every word of it is known. */
function expectOurs(line: readonly string[]): void {
  const [name = '', ...words] = line
  const command = COMMANDS.find((one) => one.name === name)
  expect([name, command === undefined]).toEqual([name, false])
  for (const word of words.filter((one) => one.startsWith('--'))) {
    expect([word, Object.hasOwn(command?.options ?? {}, word.slice(2))]).toEqual([word, true])
  }
}

describe('the Dockerfile', () => {
  test('copies only what exists, is let through to the build, and was built', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    expect(read('.dockerignore').split('\n')).toContain('*')
    for (const copy of all('COPY')) {
      const words = copy.split(' ')
      if (words[0]?.startsWith('--from=')) continue
      for (const source of words.slice(0, -1)) {
        expect([source, existsSync(join(ROOT, source)), allowed.includes(source.replace('./', ''))]).toEqual([
          source,
          true,
          true,
        ])
      }
    }
    const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts
    for (const [, script = ''] of read('deploy/Dockerfile').matchAll(/npm run (\w+)/g))
      expect(scripts).toHaveProperty(script)
    expect(all('RUN').filter((run) => run.startsWith('npm ci'))).toHaveLength(2)
  })

  test('runs as a numbered user, with no secret, no shell and our own health check', () => {
    expect(all('USER', last)).toEqual(['10001:10001'])
    expect(all('ARG').map((arg) => arg.split('=')[0])).toEqual(['NODE'])
    expect(read('deploy/Dockerfile')).not.toMatch(/password|token|secret|ADD |curl|wget/i)
    const entry = JSON.parse(all('ENTRYPOINT', last)[0] ?? '') as string[]
    expect(entry).toEqual(['node', '/app/dist/main.js'])
    expectOurs(JSON.parse(all('CMD', last)[0] ?? '') as string[])
    const health = JSON.parse((all('HEALTHCHECK', last)[0] ?? '').replace(/^.*CMD /, '')) as string[]
    expect(health.slice(0, 2)).toEqual(entry)
    expectOurs(health.slice(2))
  })
})

interface Service {
  readonly command: readonly string[]
  readonly user: string
  readonly secrets: readonly string[]
  readonly configs: readonly { readonly source: string; readonly target: string }[]
  readonly volumes: readonly string[]
  readonly read_only: boolean
  readonly cap_drop: readonly string[]
  readonly security_opt: readonly string[]
  readonly healthcheck: { readonly test: readonly string[] }
  readonly ports?: readonly string[]
  readonly environment?: unknown
}
const compose = parse(read('deploy/compose.yaml')) as {
  services: { redis: Service; errand: Service }
  configs: Record<string, { file: string }>
  secrets: Record<string, { file: string }>
  volumes: Record<string, unknown>
}

describe('the compose file', () => {
  test('takes every privilege away, keeps secrets out of the environment, and names only what is declared', () => {
    for (const [name, service] of Object.entries(compose.services)) {
      const { read_only, cap_drop, security_opt, environment, user } = service
      expect([name, read_only, cap_drop, security_opt]).toEqual([name, true, ['ALL'], ['no-new-privileges:true']])
      expect([name, environment, /^[1-9]\d*:/.test(user)]).toEqual([name, undefined, true])
      for (const secret of service.secrets) expect(Object.keys(compose.secrets)).toContain(secret)
      for (const { source } of service.configs)
        expect(existsSync(join(ROOT, 'deploy', compose.configs[source]?.file ?? ''))).toBe(true)
      for (const volume of service.volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0])
    }
    expect(compose.services.redis.ports).toBeUndefined()
    expect(compose.services.errand.ports).toEqual(['8443:8443'])
    expectOurs(compose.services.errand.command)
    expectOurs(compose.services.errand.healthcheck.test.slice(3))
    const secrets = execFileSync('git', ['check-ignore', 'deploy/compose/secrets/redis_url'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    expect(secrets.trim()).toBe('deploy/compose/secrets/redis_url')
  })
})

const UID = process.getuid?.() === 0 ? 10_001 : undefined

describe('what the image would hold', () => {
  let image = ''
  let home = ''
  let redis: RunningRedis
  let port = 0
  const configFile = () => join(home, 'errand.yaml')

  beforeAll(async () => {
    image = mkdtempSync(join(tmpdir(), 'errand-image-'))
    home = mkdtempSync(join(tmpdir(), 'errand-home-'))
    cpSync(builtPackage(), join(image, 'dist'), { recursive: true })
    cpSync(join(ROOT, 'package.json'), join(image, 'package.json'))
    for (const path of productionPackages()) {
      mkdirSync(dirname(join(image, path)), { recursive: true })
      execFileSync('cp', ['-a', join(ROOT, path), join(image, path)])
    }
    execFileSync('chmod', ['-R', 'a+rX,a-w', image])
    await writeSecrets()
  }, 300_000)
  afterAll(async () => {
    await redis?.stop()
    execFileSync('chmod', ['-R', 'u+w', image])
    for (const directory of [image, home]) rmSync(directory, { recursive: true, force: true })
  })

  async function writeSecrets(): Promise<void> {
    const secrets = join(home, 'secrets')
    mkdirSync(secrets)
    mkdirSync(join(home, 'keys'), { mode: 0o700 })
    const { certificate, key } = await (await makeAuthority()).issue({ names: ['errand.example'] })
    const users = join(secrets, 'redis_users')
    writeFileSync(users, 'user default on >correct-horse ~* &* +@all\n', { mode: 0o400 })
    const text = read('deploy/compose/redis.conf')
      .replaceAll('/run/secrets', secrets)
      .replace(/^dir .*$/m, '')
    writeFileSync(join(home, 'redis.conf'), text)
    // Its own lines on the command line come after the file's, where both say something: these are the file's.
    const conf = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    const args = conf.flatMap((line) => {
      const [name = '', ...values] = line.split(' ')
      return [`--${name}`, ...values.map((value) => (value === '""' ? '' : value))]
    })
    redis = await startRedis({ args })
    port = await freePort()
    const files = {
      tls_certificate: certificate,
      tls_key: key,
      redis_url: `redis://:correct-horse@127.0.0.1:${redis.port}`,
      metrics_token: '0123456789abcdef0123456789abcdef',
    }
    for (const [name, content] of Object.entries(files)) writeFileSync(join(secrets, name), content, { mode: 0o400 })
    const config = read('deploy/compose/errand.yaml')
      .replaceAll('/run/secrets', secrets)
      .replace('/var/lib/errand/keys', join(home, 'keys'))
      .replace('/etc/errand/registry.yaml', join(ROOT, 'deploy/example/registry.yaml'))
      .replace('port: 8443', `port: ${port}`)
      .replace('port: 9464', `port: ${await freePort()}`)
    writeFileSync(configFile(), config, { mode: 0o444 })
    if (UID === undefined) return
    for (const path of [
      home,
      secrets,
      join(home, 'keys'),
      ...readdirSync(secrets).map((name) => join(secrets, name)),
    ]) {
      if (path !== users) chownSync(path, UID, UID)
    }
  }

  const run = (args: readonly string[]) =>
    spawn(process.execPath, [join(image, 'dist/main.js'), ...args], {
      cwd: image,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(UID === undefined ? {} : { uid: UID, gid: UID }),
    })

  async function finished(child: ReturnType<typeof run>): Promise<{ code: number | null; said: string }> {
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)))
    const code = await new Promise<number | null>((done) => child.once('close', done))
    return { code, said }
  }

  test('is no more than it runs on: no compiler, no test runner, no source', () => {
    const packages = readdirSync(join(image, 'node_modules'))
    for (const needed of ['hono', 'lmdb', 'ioredis', 'pino', 'prom-client', 'zod']) expect(packages).toContain(needed)
    for (const left of ['typescript', 'vitest', 'oidc-provider', 'node', '.bin']) expect(packages).not.toContain(left)
  })

  test('serves and is healthy on the configuration of the compose file, with no right to write but to its keys', async () => {
    const broker = run(['serve', '--config', configFile()])
    const ended = finished(broker)
    const isHealthy = async () => {
      if (broker.exitCode !== null) throw new Error(`it has ended: ${(await ended).said}`)
      return (await finished(run(['health', '--config', configFile()]))).code === 0
    }
    await until(isHealthy, 2 * PATIENCE_MS, 200)
    const { said } = await finished(run(['health', '--config', configFile()]))
    expect(said).toMatch(/^ready\n {2}store +ok\n/)
    broker.kill('SIGTERM')
    const { code, said: log } = await ended
    expect([code, log]).toEqual([0, expect.stringContaining('"msg":"ready"')])
    expect(log).not.toContain('correct-horse')
    const after = await finished(run(['health', '--config', configFile()]))
    expect([after.code, after.said]).toEqual([1, expect.stringContaining('nothing answers')])
    expect(readdirSync(join(home, 'keys')).length).toBeGreaterThan(2)
  })
})

/** Paths below the root of everything that `npm ci --omit=dev` installs, from the lock file. */
function productionPackages(): readonly string[] {
  const lock = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>
  }
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && entry.dev !== true && existsSync(join(ROOT, path)))
    .map(([path]) => path)
    .filter((path, _index, paths) => !paths.some((other) => path !== other && path.startsWith(`${other}/`)))
}
