import { describe, expect, test } from 'vitest'
import { nodeUrl } from '../../../src/store/redis-servers.ts'
import { hostAndPort, redirection, slotOfTag, slotRanges } from '../../../src/store/redis-slots.ts'

describe('slots of a Redis Cluster', () => {
  test.each([
    // The check value of CRC-16/XMODEM, as the specification gives it.
    ['123456789', 0x31c3],
    ['foo', 12182],
    ['', 0],
  ])('%s', (tag, slot) => {
    expect(slotOfTag(tag)).toBe(slot)
    expect(slot).toBeLessThan(16_384)
  })

  test('who serves them, as CLUSTER SLOTS answers; a node that knows no address of its own is where it was asked', () => {
    const answer = [
      [0, 99, ['10.0.0.1', 7000, 'id', []], ['10.0.0.2', 7001, 'id', []]],
      [100, 199, [null, 7002, 'id'], ['', 7003, 'id']],
      [200, 299, ['?', 7004, 'id']],
    ]
    expect(slotRanges(answer, 'asked')).toEqual([
      { from: 0, to: 99, primary: '10.0.0.1:7000', replicas: ['10.0.0.2:7001'] },
      { from: 100, to: 199, primary: 'asked:7002', replicas: ['asked:7003'] },
    ])
    expect(slotRanges('no cluster', 'asked')).toEqual([])
  })

  test('where a refusal points, and how that node is reached', () => {
    expect(redirection('MOVED 3999 10.0.0.1:7000', 'asked')).toBe('10.0.0.1:7000')
    expect(redirection('ASK 3999 :7000', 'asked')).toBe('asked:7000')
    expect(redirection('MOVED 3999 ::1:7000', 'asked')).toBe('::1:7000')
    expect(hostAndPort('::1:7000')).toEqual({ host: '::1', port: 7000 })
    expect(hostAndPort('[::1]:7000')).toEqual({ host: '::1', port: 7000 })
    expect(nodeUrl('rediss://user:pass@seed:6379', '10.0.0.1:7000')).toBe('rediss://user:pass@10.0.0.1:7000')
    expect(nodeUrl('redis://seed', '::1:7000')).toBe('redis://[::1]:7000')
  })
})
