import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { yamlFlowList, yamlFlowMap, yamlText } from '../../../src/cli/yaml-text.ts'
import { parseYamlText } from '../../../src/registry/strict-document.ts'

const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.string({ unit: fc.constantFrom(...':#,[]{}&*!|>\'"%@`-? \t\nabcyn019.~') }),
  fc.constantFrom(
    'true',
    'no',
    'null',
    '~',
    '1.0',
    '0x1',
    '1e3',
    '2026-01-01',
    '.inf',
    '---',
    'a: b',
    'a #b',
    '-',
    '*',
  ),
)

describe('text written as YAML', () => {
  test('reads as what it was, in a block and within brackets', () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        const yaml = `block: ${yamlText(a)}\nmap: ${yamlFlowMap({ a, b })}\nlist: ${yamlFlowList([a, b])}\n`
        expect(parseYamlText(yaml, 'test')).toEqual({ block: a, map: { a, b }, list: [a, b] })
      }),
      { numRuns: 500 },
    )
  })

  test('is plain where a person would write it plainly', () => {
    for (const text of ['corp', 'alice@corp.example', 'https://a.example:8443/mcp', 'EC'])
      expect(yamlText(text)).toBe(text)
    expect(yamlText('1')).toBe('"1"')
  })
})
