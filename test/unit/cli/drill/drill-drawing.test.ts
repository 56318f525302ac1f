import { expect, test } from 'vitest'
import { drawDrill, drillJson, isWithinBound } from '../../../../src/cli/drill/drill-drawing.ts'
import type { Sample } from '../../../../src/cli/drill/measure.ts'
import { plainStyles } from '../../../../src/cli/terminal.ts'

const found = (...samples: Sample[]) => ({
  rows: [
    {
      verifier: {
        broker: 'https://a.example',
        by: 'feed' as const,
        pauseMs: 1,
        verdict: async () => 'refused' as const,
        close: async () => undefined,
      },
      samples,
    },
  ],
  revocations: samples.length,
  tokens: 6 * samples.length,
  hops: 2,
  rounds: samples.length,
  maxMs: 1500,
})

test('the worst of all counts, not the last or the middle one', () => {
  const three = found({ acceptedMs: 9.4, deadMs: 12 }, { acceptedMs: 80.6, deadMs: 91 }, { acceptedMs: 0, deadMs: 4 })
  expect(isWithinBound(three)).toBe(true)
  expect(drillJson(three)).toMatchObject({ ok: true, worst_accepted_ms: 81, worst_dead_ms: 91 })
  expect(drawDrill(three, plainStyles)).toMatch(/feed +9 +81 +91\nworst: .* below the target of 1 s\n$/)
  expect(drawDrill(found({ acceptedMs: 1200, deadMs: 1300 }), plainStyles)).toContain('above the target of 1 s')
})

test('one that was not over, and one that was never measured, is past the bound', () => {
  const late = found({ acceptedMs: 3, deadMs: 5 }, { acceptedMs: 3, deadMs: undefined })
  expect(isWithinBound(late)).toBe(false)
  expect(drillJson(late)).toMatchObject({ ok: false, worst_dead_ms: null, verifiers: [{ dead_ms: null }] })
  expect(drawDrill(late, plainStyles)).toContain('past the bound of 1.5 s at https://a.example by feed')
  expect(isWithinBound(found())).toBe(false)
})
