import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { issuerWarnings } from '../../../../src/cli/check/issuer-warnings.ts'
import { issuerRecord } from '../../../support/issuer.ts'

const directory = mkdtempSync(join(tmpdir(), 'errand-issuer-'))
afterAll(() => rmSync(directory, { recursive: true }))

const warned = (credentialFile: string | undefined) =>
  issuerWarnings({
    issuers: [
      {
        ...issuerRecord({ issuer: 'https://idp.example', slug: 'idp', jwksUri: undefined, algorithms: undefined }),
        introspection:
          credentialFile === undefined
            ? undefined
            : { clientId: 'errand', endpoint: undefined, method: 'client_secret_basic', credentialFile },
      },
    ],
  })

test('a credential for introspection that is missing, empty or readable by others is warned of, and not quoted', async () => {
  const path = join(directory, 'secret')
  expect(await warned(undefined)).toEqual([])
  expect(await warned(path)).toEqual([
    expect.stringContaining(`issuer idp: opaque tokens cannot be asked about: ${path}`),
  ])
  writeFileSync(path, 'hunter2', { mode: 0o600 })
  expect(await warned(path)).toEqual([])
  chmodSync(path, 0o644)
  expect(await warned(path)).toHaveLength(1)
  expect(JSON.stringify(await warned(path))).not.toContain('hunter2')
  writeFileSync(path, '\n')
  chmodSync(path, 0o600)
  expect(await warned(path)).toEqual([`issuer idp: opaque tokens cannot be asked about: ${path} is empty`])
})
