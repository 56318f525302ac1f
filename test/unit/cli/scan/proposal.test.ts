import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isWorse, propose } from '../../../../src/cli/scan/proposal.ts'
import type { ToolCategory } from '../../../../src/model/resource.ts'

const categoryOf = (name: string, annotations?: object, trusted = false) =>
  propose({ name, ...(annotations && { annotations }) }, trusted).category

const READ_ONLY = { readOnlyHint: true }
const HARMLESS = { readOnlyHint: false, destructiveHint: false }

describe('what a tool is proposed to be', () => {
  test.each([
    ['get_page', READ_ONLY, 'read'],
    ['searchPages', READ_ONLY, 'read'],
    ['get_page', HARMLESS, 'write'],
    ['get_page', undefined, 'destructive'],
    ['get_page', { readOnlyHint: 'true' }, 'destructive'],
    ['get_page', { readOnlyHint: true, destructiveHint: true }, 'destructive'],
    ['create_page', HARMLESS, 'write'],
    ['create_page', READ_ONLY, 'write'],
    ['create_page', undefined, 'destructive'],
    ['delete_page', READ_ONLY, 'destructive'],
    ['deletePages', HARMLESS, 'destructive'],
    ['get_and_RM', READ_ONLY, 'destructive'],
    ['list_users', READ_ONLY, 'admin'],
    ['get-env', READ_ONLY, 'admin'],
    ['rotateApikey', READ_ONLY, 'admin'],
    ['frobnicate', READ_ONLY, 'destructive'],
    ['history_get', READ_ONLY, 'destructive'],
    ['', READ_ONLY, 'destructive'],
  ])('%s with %j: %s', (name, annotations, category) => {
    expect(categoryOf(name, annotations)).toBe(category)
  })

  test('a server that the operator answers for is believed where a name says nothing, and nowhere else', () => {
    expect(categoryOf('frobnicate', READ_ONLY, true)).toBe('read')
    expect(categoryOf('frobnicate', HARMLESS, true)).toBe('write')
    expect(categoryOf('frobnicate', undefined, true)).toBe('destructive')
    expect(categoryOf('delete_page', READ_ONLY, true)).toBe('destructive')
    expect(categoryOf('list_users', READ_ONLY, true)).toBe('admin')
  })

  const hint = fc.constantFrom(undefined, true, false, 'true', null)
  const annotations = fc.oneof(
    fc.record({ readOnlyHint: hint, destructiveHint: hint }),
    fc.constantFrom(undefined, null, [], 'read'),
  )
  /** What each says by itself: not asked of `propose`, which would answer by the very annotation that lowers it. */
  const BY_NAME: readonly (readonly [name: string, category: ToolCategory])[] = [
    ['get_x', 'read'],
    ['create_x', 'write'],
    ['delete_x', 'destructive'],
    ['x', 'destructive'],
    ['list_users', 'admin'],
  ]

  test('no annotation ever lowers a category below what the name says', () => {
    fc.assert(
      fc.property(fc.constantFrom(...BY_NAME), fc.nat(), annotations, ([name, byName], more, said) => {
        expect(isWorse(byName, propose({ name: `${name}_${more}`, annotations: said }).category)).toBe(false)
      }),
    )
  })

  test.each([
    ['a right-to-left override', 'reads\u202Eegap a'],
    ['tags, which models read and people do not see', `reads${'\u{E0049}\u{E0067}'}`],
    ['variation selectors', 'reads\u{E0101}\u{E0102}'],
    ['an escape of a terminal', 'reads \u001b[2K'],
    ['a filler', 'reads\u3164'],
    ['a soft hyphen', 're\u00ADads'],
  ])('what hides characters counts as admin: %s', (_what, description) => {
    const { category, because } = propose({ name: 'get_page', description, annotations: READ_ONLY })
    expect(category).toBe('admin')
    expect(because.join()).toContain('hides characters')
    const nested = { name: 'get_page', annotations: READ_ONLY, inputSchema: { properties: { [description]: {} } } }
    expect(propose(nested).category).toBe('admin')
  })

  test('lines, emoji and foreign scripts hide nothing', () => {
    const description = 'Reads a page.\n\tÜber 頁面 страница — ⚠️ 👩‍💻 1️⃣ ✅'
    expect(propose({ name: 'get_page', description, annotations: READ_ONLY }).category).toBe('read')
  })

  test('why is said in words of this program, whatever the server says', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), annotations, (tool, description, said) => {
        const { because } = propose({ name: tool, description, annotations: said })
        expect(because.length).toBeGreaterThan(0)
        expect(because.join('')).toMatch(/^[A-Za-z“”:,. -]+$/)
      }),
    )
  })
})
