/**
 * Data keys wrapped anew, under the newest key-encryption key: so many pages with each request, each page in one write, so that
 * it can be broken off anywhere and begun again. What is sealed stays as it is, and with it every proof.
 */
import { z } from 'zod'
import type { Auditor } from '../../audit/auditor.ts'
import type { DataKeys, Rewrapped } from '../../audit/captured/data-keys.ts'
import { REKEYED_PAGES_PER_REQUEST_MAX } from '../../kernel/capture-limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { type ChangeRequest, onRecord } from '../on-record.ts'

/** `POST /admin/v1/audit/captured/rekey`: from the beginning, or behind a page that an earlier answer ended with. */
export const rekeyOrder = z.strictObject({
  after: z.string().min(1).max(64).optional(),
  /** Id of the newest key-encryption key, whose file is lost for good: it is gone back behind it. */
  lost: z.string().min(1).max(64).optional(),
})
type RekeyOrder = z.output<typeof rekeyOrder>

export interface Rekeyed {
  /** Id of the key-encryption key that wraps from now on. */
  readonly active: string
  /** Pages looked at, and of them those that were wrapped anew. */
  readonly pages: number
  readonly rewrapped: number
  /** Wrapped by a key whose file is not here, or not by the one that they name. */
  readonly unreadable: number
  /** There are more behind this one. */
  readonly after?: string
}

export interface RekeyParts {
  readonly auditor: Auditor
  readonly dataKeys: DataKeys
}

/** @throws RefusedRequest */
export function rekey(request: ChangeRequest, read: () => Promise<RekeyOrder>, parts: RekeyParts): Promise<Rekeyed> {
  return onRecord(request, 'captured.rekey', parts.auditor, async (_caller, draft) => {
    const { after, lost } = await read()
    const { keks, list } = parts.dataKeys
    await keks.reload()
    const to = keks.newest
    if (to === undefined) {
      throw new Rejection('not_found', 'there is no key-encryption key here: make one with errand keys rotate-content')
    }
    const active = await list.active()
    assertNotBack(active, lost, keks)
    draft.add({ detail: `under ${to.id}` })
    await parts.auditor.log.append(draft.id, draft.intended())
    if (active !== to.id) await list.activate(to.id)
    const { pages, isLast } = await pagesAfter(after, list)
    const outcomes: Rewrapped[] = []
    for (const page of pages) outcomes.push(await parts.dataKeys.rewrap(page, to))
    const count = (wanted: Rewrapped) => outcomes.filter((outcome) => outcome === wanted).length
    const done = { pages: pages.length, rewrapped: count('rewrapped'), unreadable: count('unreadable') }
    draft.add({ detail: JSON.stringify({ under: to.id, ...done }) })
    const last = pages.at(-1)
    return { active: to.id, ...done, ...(isLast || last === undefined ? {} : { after: last }) }
  })
}

/** Whoever lacks the newest file would wrap everything under an older key, which was to be destroyed. @throws Rejection `not_found` */
function assertNotBack(active: string | undefined, lost: string | undefined, keks: DataKeys['keks']): void {
  if (active === undefined || keks.get(active) !== undefined || lost === active) return
  const file = `content-${active}.kek.json`
  throw new Rejection(
    'not_found',
    `this broker has no ${file}, and that key wraps already: copy the file here, or say that it is lost for good (--lost ${active})`,
  )
}

async function pagesAfter(after: string | undefined, list: DataKeys['list']) {
  const from = after?.slice(0, after.indexOf('-')) ?? ''
  const pages: string[] = []
  for (const hour of await list.hours()) {
    if (hour < from) continue
    const all = await list.pagesOf(hour)
    // Pages are only ever added: where this one stands, those behind it are the later ones.
    pages.push(...all.slice(hour === from && after !== undefined ? all.indexOf(after) + 1 : 0))
    if (pages.length > REKEYED_PAGES_PER_REQUEST_MAX) break
  }
  const isLast = pages.length <= REKEYED_PAGES_PER_REQUEST_MAX
  return { pages: pages.slice(0, REKEYED_PAGES_PER_REQUEST_MAX), isLast }
}
