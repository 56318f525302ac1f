import { expect, test } from 'vitest'
import { readOnly } from '../../../../src/sdk/verify/read-only.ts'

const written = (write: () => unknown) => expect(write).toThrow(TypeError)

test('says the same, and cannot be written at any depth', () => {
  const said = () => ({
    claims: { act: { sub: 'agent:a', act: { sub: 'agent:b' } }, amr: ['pwd', { x: 1 }] },
    tools: new Map([['query', new Map([['table', { enum: ['a', 'b'] }]])]]),
    revoked: new Set(['drop']),
    nothing: null,
  })
  const kept = readOnly(said())
  expect(kept.claims).toEqual(said().claims)
  expect([...(kept.tools.get('query') ?? [])]).toEqual([['table', { enum: ['a', 'b'] }]])
  expect([...kept.revoked]).toEqual(['drop'])
  written(() => Object.assign(kept, { more: 1 }))
  written(() => Object.assign(kept.claims.act.act, { sub: 'agent:c' }))
  written(() => kept.claims.amr.push('otp'))
  written(() => Object.assign(kept.claims.amr[1] as object, { x: 2 }))
  written(() => kept.tools.set('drop', new Map()))
  written(() => kept.tools.clear())
  written(() => kept.tools.get('query')?.delete('table'))
  written(() => kept.tools.get('query')?.get('table')?.enum.push('c'))
  written(() => kept.revoked.delete('drop'))
  written(() => kept.revoked.add('x'))
  written(() => kept.revoked.clear())
  expect(kept.tools.get('query')?.get('table')).toEqual({ enum: ['a', 'b'] })
})

test('what is read only already stays what it is', () => {
  const once = readOnly({ a: { b: [1] } })
  expect(readOnly(once)).toBe(once)
  expect(once.a.b).toEqual([1])
  expect(readOnly('text')).toBe('text')
})
