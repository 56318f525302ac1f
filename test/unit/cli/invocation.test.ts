import { expect, test } from 'vitest'
import { programName, programNameAnywhere, shellWord, typedPath } from '../../../src/cli/invocation.ts'

const SOURCES = '/home/a/errand/src/main.ts'

test('in a checkout npm starts it, so that the right Node does', () => {
  expect(programName(SOURCES, '/home/a/errand')).toBe('npm run -s errand --')
  expect(programName(SOURCES, '/tmp')).toBe('npm --prefix /home/a/errand run -s errand --')
  expect(programNameAnywhere(SOURCES)).toBe('npm --prefix /home/a/errand run -s errand --')
  expect(programName('/home/a b/errand/src/main.ts', '/tmp')).toBe("npm --prefix '/home/a b/errand' run -s errand --")
})

test('installed, it has its own name', () => {
  expect(programName('/usr/local/bin/errand', '/tmp')).toBe('errand')
  expect(programName('/srv/errand/dist/main.js', '/tmp')).toBe('node /srv/errand/dist/main.js')
})

test('a path is relative only where the command will run in the same directory', () => {
  expect(typedPath('b/errand.yaml', SOURCES, '/home/a/errand')).toBe('b/errand.yaml')
  // npm --prefix changes the directory.
  expect(typedPath('b/errand.yaml', SOURCES, '/tmp')).toBe('/tmp/b/errand.yaml')
  expect(typedPath('b/errand.yaml', '/usr/bin/errand', '/tmp')).toBe('b/errand.yaml')
  expect(typedPath('/etc/errand.yaml', '/usr/bin/errand', '/tmp')).toBe('/etc/errand.yaml')
})

test('a shell reads a word as it was', () => {
  expect(shellWord('plain-1.0_x@y:/a,b=c%')).toBe('plain-1.0_x@y:/a,b=c%')
  expect(shellWord("it's; rm -rf $HOME")).toBe("'it'\\''s; rm -rf $HOME'")
  expect(shellWord('~/x')).toBe("'~/x'")
  expect(shellWord('')).toBe("''")
})
