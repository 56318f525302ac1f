import { describe, expect, test } from 'vitest'
import { less } from '../../../../src/cli/drill/tree.ts'
import { CommandFailure } from '../../../../src/cli/failures.ts'

const HERE = 'https://here.example/mcp'
const tools = (location: string, ...names: string[]) => ({
  type: 'mcp_tools',
  locations: [location],
  tools: Object.fromEntries(names.map((name) => [name, {}])),
})
const asked = (opened: object) => {
  const { authorization_details: details = '[]', ...others } = less({ ...opened }, HERE)
  return [JSON.parse(details).slice(1), others]
}

describe('what a drill passes on is less than its session', () => {
  test('one of several servers, whole', () => {
    const details = [tools('https://there.example/mcp', 'c'), tools(HERE, 'a', 'b')]
    expect(asked({ scope: 'read write', authorization_details: details })).toEqual([[tools(HERE, 'a', 'b')], {}])
  })

  test('one of several scopes, with all that it opens', () => {
    expect(asked({ scope: 'read write', authorization_details: [tools(HERE, 'a', 'b')] })).toEqual([
      [],
      { scope: 'read' },
    ])
  })

  test('a tool less, where there is but one scope', () => {
    expect(asked({ scope: 'read', authorization_details: [tools(HERE, 'a', 'b')] })).toEqual([[tools(HERE, 'a')], {}])
  })

  test('of one tool nothing can be left out, which it says', () => {
    expect(() => asked({ scope: 'read', authorization_details: [tools(HERE, 'a')] })).toThrow(CommandFailure)
    expect(() => asked({})).toThrow(CommandFailure)
  })
})
