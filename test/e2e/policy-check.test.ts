/** `errand policy check` as a build runs it: exit codes, lines and JSON, over a configuration that it is given. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errand } from '../support/errand-command.ts'
import { validDocument } from '../unit/cli/policy-document.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-policy-check-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const STAFF = { principals: [{ group: 'staff' }], resources: [{ server: 'notes' }] }
const READERS = { id: 'readers', effect: 'allow', ...STAFF }

function check(name: string, grants: readonly unknown[], ...more: string[]) {
  const cwd = join(directory, name)
  mkdirSync(cwd, { recursive: true })
  const example = readFileSync(join(import.meta.dirname, '../../deploy/example/errand.yaml'), 'utf8')
  const config = example.replace(/^environment:.*$/m, 'environment: development')
  writeFileSync(join(cwd, 'errand.yaml'), config)
  const { grants: _, ...rest } = validDocument()
  writeFileSync(join(cwd, 'registry.yaml'), JSON.stringify({ ...rest, grants }))
  return errand(['policy', 'check', ...more], { cwd })
}

test('a policy that says what it means passes, strictly too', async () => {
  const { code, out, err } = await check('fine', [READERS], '--strict')
  expect([code, out, err]).toEqual([0, 'ok  0 errors, 0 warnings\n', ''])
})

test('warnings alone pass, and fail where that is asked for', async () => {
  const grants = [READERS, { ...READERS, id: 'again' }]
  const passed = await check('warned', grants)
  expect([passed.code, passed.out]).toEqual([
    0,
    'warning  grant again: changes nothing: the same is said by readers  registry.yaml: grants[1]\nok  0 errors, 1 warning\n',
  ])
  const failed = await check('warned', grants, '--strict')
  expect([failed.code, failed.out.trimEnd().split('\n').at(-1)]).toEqual([1, 'not ok  0 errors, 1 warning'])
})

test('a misspelt deny, and an allow that a deny leaves nothing of, fail the build by name and place', async () => {
  const grants = [
    READERS,
    { ...STAFF, id: 'freeze', effect: 'deny', resources: [{ server: '*' }] },
    { ...STAFF, id: 'typo', effect: 'deny', principals: [{ group: 'stuff' }] },
  ]
  const { code, out } = await check('broken', grants)
  expect([code, out.trimEnd().split('\n')]).toEqual([
    1,
    [
      'problem  grant typo: no listed user has the group stuff, and nobody else has any  registry.yaml: grants[2].principals[0]',
      'problem  grant readers: never allows anything: all of it is denied by freeze  registry.yaml: grants[0]',
      'warning  agent writer: no grant that can match allows any user a tool of its manifest',
      'not ok  2 errors, 1 warning',
    ],
  ])
  const json = await check('broken', grants, '--json')
  expect([json.code, JSON.parse(json.out)]).toEqual([
    1,
    {
      ok: false,
      errors: 2,
      warnings: 1,
      findings: [
        expect.objectContaining({
          kind: 'never_matches',
          grant: 'typo',
          path: 'registry.yaml: grants[2].principals[0]',
        }),
        expect.objectContaining({ kind: 'contradiction', grant: 'readers', by: ['freeze'] }),
        expect.objectContaining({ kind: 'agent_unmet', agent: 'writer' }),
      ],
      unverified: ['writer'],
    },
  ])
})

test('a configuration that cannot be read is no policy without findings', async () => {
  const { code, out } = await check('unread', [{ ...READERS, resources: [{ server: 'nots' }] }])
  expect([code, out]).toEqual([2, ''])
})
