import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { calculateJwkThumbprint } from 'jose'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { KeyFileError } from '../../../src/keys/key-file.ts'
import { createKey, ensureKeys, loadKeys, PUBLISH_SECONDS, rotate } from '../../../src/keys/key-files.ts'
import { KeyRing } from '../../../src/keys/key-ring.ts'
import { JWKS_CACHE_S, KEY_ALGORITHMS } from '../../../src/keys/ring-view.ts'

const T = 1_800_000_000
const root = await mkdtemp(join(tmpdir(), 'errand-keys-'))
let count = 0
let folder = ''

beforeEach(() => {
  count += 1
  folder = join(root, String(count))
})
afterAll(() => rm(root, { recursive: true }))

const REQUEST = { class: 'access', alg: 'ES256', activateAt: T, now: T, development: false } as const
const load = (development = false): ReturnType<typeof loadKeys> => loadKeys(folder, { development })
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

async function onlyFile(): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'))
  expect(names).toHaveLength(1)
  return names[0] ?? ''
}

/** Creates a good key, changes its document, and loads it again. */
async function loadChanged(change: (document: Record<string, unknown>) => unknown): Promise<string> {
  await createKey(folder, REQUEST)
  const path = join(folder, await onlyFile())
  const changed = change(JSON.parse(await readFile(path, 'utf8')))
  await writeFile(path, typeof changed === 'string' ? changed : JSON.stringify(changed))
  return refusal()
}

/** What loading says; the message holds no key material, or the test fails. */
async function refusal(development = false): Promise<string> {
  try {
    await load(development)
    return 'accepted'
  } catch (error) {
    expect(error).toBeInstanceOf(KeyFileError)
    for (const name of await readdir(folder)) {
      const text = await readFile(join(folder, name), 'utf8').catch(() => '')
      const secret = /"d":\s*"([^"]+)"/.exec(text)?.[1]
      if (secret !== undefined) expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(secret)
    }
    return (error as Error).message
  }
}

describe('creating a key', () => {
  it.each(KEY_ALGORITHMS)('%s: writes a private file that loads to the same key', async (alg) => {
    const created = await createKey(folder, { ...REQUEST, alg, activateAt: T + 5 })
    const name = await onlyFile()
    expect(name).toBe(`access-${alg}-${created.kid}.jwk.json`)
    expect(await modeOf(join(folder, name))).toBe(0o600)
    expect(await modeOf(folder)).toBe(0o700)
    const [loaded] = await load()
    expect(loaded?.signing.key.equals(created.signing.key)).toBe(true)
    expect({ ...loaded, signing: 0, verification: 0 }).toEqual({ ...created, signing: 0, verification: 0 })
    expect(loaded).toMatchObject({ activateAt: T + 5, createdAt: T, class: 'access', alg, development: false })
    expect(loaded?.verification).toMatchObject({ alg, kid: created.kid })
  })

  it('names the key by its RFC 7638 thumbprint, as jose computes it', async () => {
    const key = await createKey(folder, REQUEST)
    expect(key.kid).toBe(await calculateJwkThumbprint(key.publicJwk as Record<string, string>, 'sha256'))
  })

  it('keeps permissions whatever the umask, and leaves nothing half-written behind', async () => {
    const before = process.umask(0)
    try {
      await createKey(folder, REQUEST)
    } finally {
      process.umask(before)
    }
    expect(await modeOf(join(folder, await onlyFile()))).toBe(0o600)
    expect(await readdir(folder)).toHaveLength(1)
  })

  it('marks development keys in their names', async () => {
    await createKey(folder, { ...REQUEST, development: true })
    expect(await onlyFile()).toMatch(/^dev-access-ES256-/)
    expect((await load(true))[0]?.development).toBe(true)
  })
})

describe('loading keys', () => {
  it.each([0o640, 0o604, 0o620, 0o610, 0o644, 0o666, 0o777])('refuses mode %o and says what to do', async (mode) => {
    await createKey(folder, REQUEST)
    await chmod(join(folder, await onlyFile()), mode)
    const message = await refusal()
    expect(message).toContain(`mode ${mode.toString(8)} `)
    expect(message).toContain('chmod 600')
  })

  it('accepts a file that its owner may only read', async () => {
    await createKey(folder, REQUEST)
    await chmod(join(folder, await onlyFile()), 0o400)
    expect(await load()).toHaveLength(1)
  })

  it('checks the file a link points to, not the link', async () => {
    await createKey(folder, REQUEST)
    const name = await onlyFile()
    await rename(join(folder, name), join(folder, '.hidden'))
    await symlink('.hidden', join(folder, name))
    expect(await load()).toHaveLength(1)
    await chmod(join(folder, '.hidden'), 0o644)
    expect(await refusal()).toContain('mode 644')
  })

  it('refuses a development key outside development', async () => {
    await createKey(folder, { ...REQUEST, development: true })
    expect(await refusal()).toContain('development key')
    expect(await load(true)).toHaveLength(1)
  })

  it('ignores what is not a key: the README, notes, temporary files', async () => {
    await createKey(folder, REQUEST)
    for (const name of ['README.md', '.req_x.tmp', '.access.jwk.json', 'notes.txt']) {
      await writeFile(join(folder, name), '{}')
    }
    expect(await load()).toHaveLength(1)
  })

  it.each([
    'access.jwk.json',
    'access-HS256-x.jwk.json',
    'root-ES256-x.jwk.json',
    'prod-access-ES256-x.jwk.json',
  ])('refuses the name %s', async (name) => {
    await createKey(folder, REQUEST)
    await rename(join(folder, await onlyFile()), join(folder, name))
    expect(await refusal()).toContain('is named <class>-<alg>-<kid>')
  })

  it('refuses a missing directory, and a directory or a pipe in place of a file', async () => {
    expect(await loadKeys(folder, { development: false }).catch((error: Error) => error.message)).toContain('ENOENT')
    const name = `access-ES256-${'A'.repeat(43)}.jwk.json`
    await mkdir(join(folder, name), { recursive: true, mode: 0o700 })
    expect(await refusal()).toContain('not a regular file')
    await rm(join(folder, name), { recursive: true })
    execFileSync('mkfifo', ['-m', '600', join(folder, name)])
    const outcome = await load().catch((error: Error) => error.message)
    expect(outcome).toContain('not a regular file')
    await rm(join(folder, name))
  })

  it.each<[string, (document: Record<string, unknown>) => unknown]>([
    ['text that is no JSON', () => '{'],
    ['an empty file', () => ''],
    ['a list', (d) => [d]],
    ['an unknown member', (d) => ({ ...d, comment: 'mine' })],
    ['an unknown member of the key', (d) => ({ ...d, jwk: { ...(d['jwk'] as object), use: 'sig' } })],
    ['no class', ({ class: _, ...rest }) => rest],
    ['another class than its name', (d) => ({ ...d, class: 'internal' })],
    ['an unknown class', (d) => ({ ...d, class: 'root' })],
    ['another algorithm than its name', (d) => ({ ...d, alg: 'RS256' })],
    ['another kid than its name', (d) => ({ ...d, kid: 'A'.repeat(43) })],
    ['a time as text', (d) => ({ ...d, activateAt: '2027-01-01' })],
    ['a time in milliseconds with a fraction', (d) => ({ ...d, activateAt: 1.5 })],
    ['a negative time', (d) => ({ ...d, createdAt: -1 })],
    ['only the public half', (d) => ({ ...d, jwk: { ...(d['jwk'] as object), d: undefined } })],
    ['a symmetric key', (d) => ({ ...d, jwk: { kty: 'oct', k: 'c2VjcmV0' } })],
    ['another curve', (d) => ({ ...d, jwk: { ...(d['jwk'] as object), crv: 'P-384' } })],
    ['a private half that is no number', (d) => ({ ...d, jwk: { ...(d['jwk'] as object), d: '!' } })],
    ['a repeated member', (d) => JSON.stringify(d).replace('{', '{"class":"access",')],
    ['a file beyond its bound', (d) => `${JSON.stringify(d)}${' '.repeat(16 * 1024)}`],
  ])('refuses %s', async (_, change) => {
    expect(await loadChanged(change)).not.toBe('accepted')
  })

  it('refuses the private half of another key, which would publish a key nothing verifies with', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    const swapped = await loadChanged((d) => ({ ...d, jwk: { ...(d['jwk'] as object), d: other.d } }))
    expect(swapped).not.toBe('accepted')
  })

  it('refuses another key under a known kid', async () => {
    const { kty, crv, x, y, d } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      format: 'jwk',
    })
    expect(await loadChanged((document) => ({ ...document, jwk: { kty, crv, x, y, d } }))).toContain('thumbprint')
  })

  it('refuses an RSA key under the name of an EC one', async () => {
    await createKey(folder, { ...REQUEST, alg: 'RS256' })
    const name = await onlyFile()
    const text = await readFile(join(folder, name), 'utf8')
    await rm(join(folder, name))
    const path = join(folder, name.replace('RS256', 'ES256'))
    await writeFile(path, text.replace('"alg": "RS256"', '"alg": "ES256"'), { mode: 0o600 })
    expect(await refusal()).toContain('does not fit its algorithm')
  })

  it('refuses a 1024-bit key of our own as it would anybody else’s', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const jwk = privateKey.export({ format: 'jwk' })
    const kid = await calculateJwkThumbprint(jwk as Record<string, string>, 'sha256')
    await mkdir(folder, { mode: 0o700 })
    const document = { class: 'access', alg: 'RS256', kid, activateAt: T, createdAt: T, jwk }
    await writeFile(join(folder, `access-RS256-${kid}.jwk.json`), JSON.stringify(document), { mode: 0o600 })
    expect(await refusal()).toContain('2048')
  })
})

describe('the first start', () => {
  it('creates what is missing, active at once, and is ready', async () => {
    const keys = await ensureKeys(folder, { development: true, now: T })
    expect(keys.map((key) => `${key.class} ${key.alg}`).sort()).toEqual([
      'access ES256',
      'access RS256',
      'internal ES256',
      'statement ES256',
    ])
    expect(keys.every(({ development, activateAt }) => development && activateAt === T)).toBe(true)
    expect(new KeyRing(keys).problem(T)).toBeUndefined()
  })

  it('changes nothing the second time, and adds only what a new algorithm needs', async () => {
    const first = await ensureKeys(folder, { development: false, now: T, algs: ['ES256'] })
    expect(await ensureKeys(folder, { development: false, now: T + 99, algs: ['ES256'] })).toEqual(first)
    const more = await ensureKeys(folder, { development: false, now: T + 99, algs: ['ES256', 'Ed25519'] })
    expect(more.map(({ kid }) => kid)).toEqual(expect.arrayContaining(first.map(({ kid }) => kid)))
    expect(more).toHaveLength(first.length + 1)
  })

  it('gives brokers that start together one and the same set', async () => {
    const starts = Array.from({ length: 5 }, () => ensureKeys(folder, { development: true, now: T, algs: ['ES256'] }))
    const sets = (await Promise.all(starts)).map((keys) => keys.map(({ kid }) => kid).join())
    expect(new Set(sets).size).toBe(1)
    expect(await readdir(folder)).toHaveLength(3)
  })

  it('does not paper over a bad file by making a new key', async () => {
    await ensureKeys(folder, { development: false, now: T, algs: ['ES256'] })
    for (const name of await readdir(folder)) await chmod(join(folder, name), 0o644)
    await expect(ensureKeys(folder, { development: false, now: T })).rejects.toThrow('chmod 600')
    expect(await readdir(folder)).toHaveLength(3)
  })
})

describe('rotation', () => {
  it('announces an access key for longer than verifiers cache /jwks', async () => {
    await ensureKeys(folder, { development: true, now: T, algs: ['ES256'] })
    const next = await rotate(folder, { class: 'access', alg: 'ES256', now: T + 50, development: true })
    expect(next.activateAt).toBe(T + 50 + PUBLISH_SECONDS)
    expect(PUBLISH_SECONDS).toBeGreaterThan(JWKS_CACHE_S)
    const ring = new KeyRing(await load(true))
    expect(ring.active('access', 'ES256', T + 50).kid).not.toBe(next.kid)
    expect(ring.jwks(T + 50).keys.map(({ kid }) => kid)).toContain(next.kid)
    expect(ring.active('access', 'ES256', next.activateAt).kid).toBe(next.kid)
  })

  it('gives brokers a minute to reload before a new internal key signs, unless told otherwise', async () => {
    const at = { class: 'internal', alg: 'ES256', now: T, development: false } as const
    const next = await rotate(folder, at)
    expect(next.activateAt).toBe(T + 60)
    const ring = new KeyRing(await load(false))
    expect(() => ring.active('internal', 'ES256', T + 59)).toThrow()
    expect(ring.active('internal', 'ES256', T + 60).kid).toBe(next.kid)
    expect((await rotate(folder, { ...at, publishSeconds: 120 })).activateAt).toBe(T + 120)
    for (const publishSeconds of [-1, 0.5, Number.NaN]) {
      await expect(rotate(folder, { ...at, publishSeconds })).rejects.toThrow(TypeError)
    }
  })
})
