import { describe, expect, test } from 'vitest'
import { looksLikeToken, parseCommandArgs } from '../../../src/cli/args.ts'
import { UsageError } from '../../../src/cli/failures.ts'
import type { CommandLineSpec } from '../../../src/cli/options.ts'
import { COMMANDS } from '../../support/commands.ts'

const SPEC: CommandLineSpec = {
  arguments: ['NAME', '[FILE]'],
  options: {
    config: { value: 'FILE', help: 'a file' },
    resource: { value: 'URL', help: 'several', repeats: true },
    want: { value: 'TYPE', help: 'one of', oneOf: ['access', 'session'] },
    json: { help: 'a switch' },
  },
}
const parse = (...argv: string[]) => parseCommandArgs(SPEC, argv)
const TOKEN = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln'

describe('a command line', () => {
  test('gives positionals, values, repeated values and switches', () => {
    const args = parse('x', '--config', 'a.yaml', '--resource=https://a', '--json', 'y', '--resource', 'https://b')
    expect(args.positionals).toEqual(['x', 'y'])
    expect(args.text('config')).toBe('a.yaml')
    expect(args.all('resource')).toEqual(['https://a', 'https://b'])
    expect([args.flag('json'), args.flag('want')]).toEqual([true, false])
    expect(parse('x', '-').positionals).toEqual(['x', '-'])
    expect(parse('x', '--config', '-a1_').text('config')).toBe('-a1_')
    expect(parse('-a1_-b', '--json').positionals).toEqual(['-a1_-b'])
    expect(parse('x', '--config=--a').text('config')).toBe('--a')
    expect(parse('x', '--', '--json').positionals).toEqual(['x', '--json'])
  })

  test.each([
    [['x', '--confg', 'a'], 'unknown option --confg; did you mean --config?'],
    [['x', '-c'], 'unknown option -c'],
    [['x', '-json'], 'unknown option -j'],
    [['x', 'y', '-a1_'], 'unexpected argument -a1_'],
    [['x', '--toString', 'a'], 'unknown option --toString'],
    [['x', '--__proto__', 'a'], 'unknown option --__proto__'],
    [['x', '--json=yes'], '--json takes no value'],
    [['x', '--config'], '--config needs a value: --config FILE'],
    [['x', '--config='], '--config needs a value: --config FILE'],
    [
      ['x', '--config', '--json'],
      '--config needs a value: --config FILE; one that looks like an option goes into --config=FILE',
    ],
    [
      ['x', '--config', '-h'],
      '--config needs a value: --config FILE; one that looks like an option goes into --config=FILE',
    ],
    [['x', '--config', 'a', '--config', 'b'], '--config is given twice'],
    [['x', '--json', '--json'], '--json is given twice'],
    [['x', '--want', 'all'], '--want must be one of access, session'],
    [['x', '--no-json'], 'unknown option --no-json'],
    [[], 'NAME is needed'],
    [['x', 'y', 'z'], 'unexpected argument z'],
  ])('%j is refused: %s', (argv, message) => {
    expect(() => parse(...argv)).toThrow(new UsageError(message))
  })

  test.each([
    [[TOKEN]],
    [['x', '--config', TOKEN]],
    [['x', `--config=${TOKEN}`]],
    [['x', `--unknown=${TOKEN}`]],
  ])('a token on it is refused and not repeated', (argv) => {
    let message = ''
    try {
      parse(...argv)
    } catch (fault) {
      message = String(fault)
    }
    expect(message).toContain('a token does not belong on a command line')
    expect(message).not.toContain(TOKEN)
  })

  test('a name, a path and a URL are no tokens', () => {
    for (const text of ['eyebrow.example.com', './eyJ.jwt', 'https://eye.example/a.b.c', 'ses_eyJhbGciOiJ']) {
      expect(looksLikeToken(text), text).toBe(false)
    }
  })
})

describe('values', () => {
  test('numbers with decimals are within their bounds, and nothing else is one', () => {
    expect(parse('x', '--config', '0.25').decimal('config', 0.01, 9)).toBe(0.25)
    expect(parse('x', '--config', '9').decimal('config', 0.01, 9)).toBe(9)
    expect(parse('x').decimal('config', 0.01, 9)).toBeUndefined()
    for (const text of ['0', '9.1', '.5', '1.', '1e1', '+1', '0.0001', 'one', '1,5']) {
      expect(() => parse('x', '--config', text).decimal('config', 0.01, 9), text).toThrow(UsageError)
    }
  })

  test('whole numbers are within their bounds, and nothing else is one', () => {
    expect(parse('x', '--config', '7').whole('config', 1, 9)).toBe(7)
    expect(parse('x').whole('config', 1, 9)).toBeUndefined()
    for (const text of ['0', '10', '1.5', '1e0', '0x7', ' 7', '7 ', 'seven']) {
      expect(() => parse('x', '--config', text).whole('config', 1, 9), text).toThrow(UsageError)
    }
  })

  test('a list is split at commas and has no empty item', () => {
    expect(parse('x', '--config', 'a, b,c').list('config')).toEqual(['a', 'b', 'c'])
    expect(parse('x').list('config')).toEqual([])
    for (const text of ['a,,b', ',', 'a,']) {
      expect(() => parse('x', '--config', text).list('config'), text).toThrow(UsageError)
    }
  })

  test('what is needed and not there is said', () => {
    expect(() => parse('x').require('config')).toThrow('--config is needed')
  })
})

describe('the commands', () => {
  test('have different names, and every example of theirs is one they accept', () => {
    expect(new Set(COMMANDS.map(({ name }) => name)).size).toBe(COMMANDS.length)
    for (const command of COMMANDS) {
      expect(command.examples.length, command.name).toBeGreaterThan(0)
      expect(
        command.examples.some((example) => example.includes(`errand ${command.name}`)),
        command.name,
      ).toBe(true)
    }
    const lines = COMMANDS.flatMap(({ examples }) =>
      examples.flatMap((example) => example.split(' | ')).map((line) => line.split(/ (?:<|>>?) /)[0] ?? ''),
    )
    for (const line of lines.filter((text) => text.startsWith('errand '))) {
      // As a shell reads it: what is quoted is one word.
      const words = [...line.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word).slice(1)
      const fitting = COMMANDS.filter(({ name }) => `${words.join(' ')} `.startsWith(`${name} `))
      const command = fitting.toSorted((a, b) => b.name.length - a.name.length)[0]
      expect(command, line).toBeDefined()
      if (command === undefined) continue
      expect(() => parseCommandArgs(command, words.slice(command.name.split(' ').length)), line).not.toThrow()
    }
  })

  test('say one thing with one word: an option is spelled and valued the same wherever it appears', () => {
    const values = new Map<string, Set<string>>()
    for (const { options } of COMMANDS) {
      for (const [name, { value = '' }] of Object.entries(options)) {
        values.set(name, (values.get(name) ?? new Set()).add(value === '' ? 'switch' : 'value'))
      }
    }
    for (const [name, kinds] of values) expect([...kinds], name).toHaveLength(1)
  })
})
