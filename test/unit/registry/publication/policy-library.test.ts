import { afterAll, beforeAll, expect, test } from 'vitest'
import { POLICY_VERSIONS_MAX } from '../../../../src/kernel/policy-limits.ts'
import { prepareGrants } from '../../../../src/policy/grant-index.ts'
import { PolicyLibrary } from '../../../../src/registry/publication/policy-library.ts'
import { HandClock, type TestStore, testStore } from '../../sessions/fixtures.ts'

const ISSUER = 'https://errand.example'
let held: TestStore
beforeAll(async () => {
  held = await testStore(new HandClock())
})
afterAll(() => held.close())

test('the oldest versions are forgotten, and never the one that decides, however many others were offered', async () => {
  let decides: string | undefined
  const options = {
    store: held.store.documents,
    issuer: ISSUER,
    directoryOf: () => '.',
    published: () => decides,
    prepare: prepareGrants,
  }
  const library = new PolicyLibrary(options)
  const version = (name: string) => {
    const files = [{ name: 'policy.yaml', document: { projects: [{ id: name, owner: 'team' }] } }]
    return library.decodeAtOnce({ issuer: ISSUER, accessTokenSeconds: 300, files, entries: {} })
  }
  const published = version('published')
  const { version: name } = published.registry
  await library.keep(version('older'), 'operator:ops', 0)
  await library.keep(published, 'operator:ops', 1)
  decides = name
  for (let n = 0; n < POLICY_VERSIONS_MAX; n += 1) {
    await library.keep(version(`draft-${n}`), 'operator:ops', 2 + n)
  }
  const fresh = new PolicyLibrary(options)
  expect(await fresh.load(version('older').registry.version)).toBeUndefined()
  expect((await fresh.load(name))?.registry.version).toBe(name)
})
