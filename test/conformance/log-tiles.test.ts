/** The audit log over HTTP is C2SP tlog-tiles: what a verifier of its own makes of it is the tree that was signed. */
import { afterEach, expect, test } from 'vitest'
import { findLogKey } from '../../src/keys/log-key.ts'
import { openCheckpoint } from '../../src/tlog/checkpoint.ts'
import { leafHash } from '../../src/tlog/hashes.ts'
import { inclusionProof, verifyInclusion } from '../../src/tlog/proofs.ts'
import { TiledTree } from '../../src/tlog/subtrees.ts'
import { formatTilePath, parseEntries, type TileReader } from '../../src/tlog/tiles.ts'
import { managementToken } from '../support/hops.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World
afterEach(() => world?.close())

const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  world.broker.app.request(path, { headers })

async function grown(publicLog: boolean): Promise<World> {
  const started = await startWorld({ settings: { publicLog } })
  for (let n = 0; n < 3; n++) await started.open()
  // The first may have joined a turn that was under way.
  for (let turn = 0; turn < 2; turn++) await started.broker.flushAudit()
  return started
}

const tilesOverHttp: TileReader = {
  tile: async (level, index, width) => {
    const answer = await get(`/audit/${formatTilePath({ level, index, width })}`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/octet-stream'])
    return Buffer.from(await answer.arrayBuffer())
  },
}

test('where it is open, anybody reads checkpoint, tiles and entries, and proves an entry with nothing else', async () => {
  world = await grown(true)
  const answer = await get('/audit/checkpoint')
  expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  const { directory } = world.config.keys
  const signer = await findLogKey({
    directory,
    development: world.config.development,
    issuer: world.config.settings.issuer,
  })
  const { checkpoint } = await openCheckpoint(await answer.text(), signer === undefined ? [] : [signer.key])
  expect(checkpoint.origin).toBe(`${new URL(world.config.settings.issuer).host}/audit`)
  expect(checkpoint.size).toBeGreaterThanOrEqual(3)
  expect(await new TiledTree(checkpoint.size, tilesOverHttp).root()).toEqual(checkpoint.root)
  const bundle = await get(`/audit/${formatTilePath({ level: 'entries', index: 0, width: checkpoint.size })}`)
  const { entries, whole } = parseEntries(Buffer.from(await bundle.arrayBuffer()))
  expect([entries.length, whole]).toEqual([checkpoint.size, true])
  const path = await inclusionProof(1, checkpoint.size, tilesOverHttp)
  expect(verifyInclusion(leafHash(entries[1] ?? Buffer.alloc(0)), 1, checkpoint, path)).toBe(true)
  // Reading what is open to all is nothing to record: the log would grow by whoever looks at it.
  await world.broker.flushAudit()
  expect(await (await get('/audit/checkpoint')).text()).toContain(`\n${checkpoint.size}\n`)
  for (const path of [
    'tile/0/000',
    'tile/0/000.p/255',
    'tile/9/000.p/1',
    'tile/0/0',
    'tile/0/001.p/1',
    'tile/../head',
    'head',
  ]) {
    expect([path, (await get(`/audit/${path}`)).status]).toEqual([path, 404])
  }
})

test('otherwise it is for operators: nobody else learns how long it is', async () => {
  world = await grown(false)
  for (const path of ['/audit/checkpoint', '/audit/tile/0/000.p/1', '/audit/tile/entries/000.p/1']) {
    expect([path, (await get(path)).status]).toEqual([path, 401])
    expect([path, (await get(path, { authorization: 'Bearer nonsense' })).status]).toEqual([path, 401])
  }
  const authorization = `Bearer ${await managementToken(world)}`
  expect((await get('/audit/checkpoint', { authorization })).status).toBe(200)
  expect((await get('/audit/tile/0/000.p/1', { authorization })).status).toBe(200)
  expect((await get('/audit/tile/0/000.p/1?x=1', { authorization })).status).toBe(400)
})
