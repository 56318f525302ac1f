import { expect, test } from 'vitest'
import { architecturePage } from '../../../../src/cli/records/architecture-page.ts'

const worksFor = (agent: object) => {
  const page = JSON.stringify(architecturePage({ agents: [{ id: 'scribe', ...agent }] } as never))
  return /\["works for","([^"]*)"\]/.exec(page)?.[1]
}

test('of a sub-agent that no user has signed in to, the page says through whom it works', () => {
  expect(worksFor({ identity_flows: ['corp'], works_on_from: ['orchestrator'] })).toBe('corp')
  expect(worksFor({ identity_flows: [], works_on_from: ['orchestrator'] })).toBe('whomever orchestrator may work for')
  expect(worksFor({ identity_flows: [], works_on_from: [] })).toBe('nobody')
})
