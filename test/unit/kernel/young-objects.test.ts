import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { roomFlags } from '../../../src/kernel/young-objects.ts'

it('V8 knows the flags that it is told, and says nothing', async () => {
  expect(roomFlags(process.versions.node)).not.toEqual([])
  const module = new URL('../../../src/kernel/young-objects.ts', import.meta.url)
  const told = `import { keepRoom } from ${JSON.stringify(module.href)}; keepRoom()`
  const said = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', told])
  expect(said).toEqual({ stdout: '', stderr: '' })
})

it('a Node that would complain of them on standard error is told none', () => {
  for (const node of ['20.19.0', '22.21.1', '23.11.1']) expect(roomFlags(node)).toEqual([])
})
