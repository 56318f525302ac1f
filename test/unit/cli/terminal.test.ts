import { describe, expect, test } from 'vitest'
import { drawChain, drawTree, durationWords, printable } from '../../../src/cli/terminal.ts'

describe('drawings', () => {
  test('a tree shows children below their parent, and where a branch ends', () => {
    const tree = [
      { label: 'a', children: [{ label: 'b', children: [{ label: 'c' }] }, { label: 'd' }] },
      { label: 'e' },
    ]
    expect(drawTree(tree)).toEqual(['├─ a', '│  ├─ b', '│  │  └─ c', '│  └─ d', '└─ e'])
  })

  test('a chain hangs each link below the one before', () => {
    expect(drawChain(['a', 'b', 'c'])).toEqual(['a', '└─ b', '   └─ c'])
    expect(drawChain([])).toEqual([])
  })
})

describe('text', () => {
  test('from outside loses everything that moves a cursor or changes direction', () => {
    expect(printable('a\u001b[2Jb\r\nc\u202ed\u0007\u200be\u2028f é 名')).toBe('a?[2Jb??c?d??e?f é 名')
  })

  test.each([
    [-3, '0 s'],
    [0.9, '0 s'],
    [59, '59 s'],
    [60, '1 min 0 s'],
    [3599, '59 min 59 s'],
    [3600, '1 h 0 min'],
    [90_061, '25 h 1 min'],
  ])('%d seconds are told as %s', (seconds, words) => {
    expect(durationWords(seconds)).toBe(words)
  })
})
