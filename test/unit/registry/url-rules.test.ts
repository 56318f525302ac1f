import { expect, test } from 'vitest'
import { isLoopbackHost, urlProblem } from '../../../src/registry/url-rules.ts'

test.each([
  'https://a.example',
  'https://a.example/x?y=1',
  'http://127.0.0.1:8080/mcp',
  'http://127.9.9.9',
  'http://[::1]:1',
  'http://localhost:3000',
])('%s may be named', (url) => {
  expect(urlProblem(url)).toBeUndefined()
})

test.each([
  'http://a.example',
  'http://localhost.a.example',
  'http://10.0.0.1',
  'http://0.0.0.0',
  'ftp://a.example',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'a.example/mcp',
  '',
  'https://user@a.example',
  'https://user:pass@a.example',
  'https://a.example/#x',
  'https://a.example/#',
  'https://a.example/x y',
  'https://a.example\\@b.example',
])('%j is refused', (url) => {
  expect(urlProblem(url)).toBeTypeOf('string')
})

test('a name that merely looks like loopback is not', () => {
  expect(isLoopbackHost('127.0.0.1.example')).toBe(false)
  expect(isLoopbackHost('localhost.example')).toBe(false)
  expect(isLoopbackHost('[::ffff:127.0.0.1]')).toBe(false)
})
