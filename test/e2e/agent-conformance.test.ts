/**
 * The `auth/*` client scenarios of MCP's own conformance suite on the agent library, which there has to get along with an
 * authorization server that is not Errand. What fails, and why, stands in `agent-expected-failures.yaml`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { conformance } from '../support/mcp-programs.ts'
import { scratchDirectory } from '../support/scratch.ts'

interface Expected {
  readonly why: string
  readonly checks: readonly string[]
}

const EXPECTED = parse(readFileSync(join(import.meta.dirname, 'agent-expected-failures.yaml'), 'utf8')) as Readonly<
  Record<string, Expected>
>
const CLIENT = join(import.meta.dirname, '../support/conformance-agent.ts')

/** Names begin with a dash in its list, and revisions follow. */
async function scenarios(directory: string): Promise<readonly string[]> {
  const { out } = await conformance(['list', '--client'], directory)
  const all = [...out.matchAll(/^\s+- (auth\/\S+) \[([^\]]*)\]/gm)]
  // The first revision had no metadata of resources, by which alone an agent finds out what a server is.
  return all.filter(([, , revisions]) => revisions !== '2025-03-26').map(([, name = '']) => name)
}

async function failedChecks(scenario: string, directory: string): Promise<readonly string[]> {
  mkdirSync(directory)
  const command = `${process.execPath} ${CLIENT}`
  const args = ['client', '--command', command, '--scenario', scenario, '--timeout', '25000', '-o', directory]
  const { out } = await conformance(args, directory)
  const saved = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const file = saved.find((path) => path.endsWith('checks.json'))
  if (file === undefined) throw new Error(`${scenario} has left no result: ${out.slice(-2_000)}`)
  const checks = JSON.parse(readFileSync(join(directory, file), 'utf8')) as { id: string; status: string }[]
  expect(checks.length, scenario).toBeGreaterThan(0)
  return [...new Set(checks.filter(({ status }) => status === 'FAILURE').map(({ id }) => id))].sort()
}

describe('the agent library as a client of an authorization server that is not Errand', () => {
  test('fails the checks that are expected to fail, and no others', async () => {
    const root = scratchDirectory('errand-conformance-')
    const left = [...(await scenarios(root))]
    expect(left.length).toBeGreaterThan(25)
    expect(Object.keys(EXPECTED).filter((name) => !left.includes(name))).toEqual([])
    const found: Record<string, readonly string[]> = {}
    const work = async () => {
      for (let scenario = left.shift(); scenario !== undefined; scenario = left.shift()) {
        found[scenario] = await failedChecks(scenario, join(root, scenario.replaceAll('/', '-')))
      }
    }
    await Promise.all([work(), work(), work()])
    const wanted = Object.fromEntries(Object.keys(found).map((name) => [name, EXPECTED[name]?.checks ?? []]))
    expect(found).toEqual(wanted)
    rmSync(root, { recursive: true, force: true })
    expect(Object.values(EXPECTED).every(({ why }) => why.length > 20)).toBe(true)
  })
})
