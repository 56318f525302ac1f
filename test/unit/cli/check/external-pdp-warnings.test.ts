/** What `errand check` says of an external PDP's files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { externalPdpWarnings } from '../../../../src/cli/check/external-pdp-warnings.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-pdp-check-'))
  writeFileSync(join(directory, 'good'), 'a-credential\n')
  writeFileSync(join(directory, 'bad'), 'not a credential: s3cret\n')
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const warnings = (credential: string | undefined, ca: string | undefined) => {
  const file = (name: string | undefined) => (name === undefined ? undefined : join(directory, name))
  const pdp = { url: 'https://pdp.example/access/v1/evaluations', timeoutMs: 500 }
  return externalPdpWarnings({ externalPdp: { ...pdp, credentialFile: file(credential), caFile: file(ca) } })
}

it('nothing where there is none, or its files are there', async () => {
  expect(await externalPdpWarnings({})).toEqual([])
  expect(await warnings(undefined, undefined)).toEqual([])
  expect(await warnings('good', 'good')).toEqual([])
})

it('each file that cannot be read, or holds no credential, without what is in it', async () => {
  const found = await warnings('bad', 'absent')
  expect(found).toHaveLength(2)
  for (const line of found) expect(line).toMatch(/^external_pdp: it allows nothing: /)
  expect(found.join()).not.toContain('s3cret')
})
