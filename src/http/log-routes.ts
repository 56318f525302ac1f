/**
 * The audit log over HTTP (C2SP tlog-tiles): for monitors and for anybody's own verifier. Where configuration opens it to
 * everybody it is read without a token and leaves no record; else it is the admin API's to answer, and on record.
 */
import type { Context } from 'hono'
import { readCheckpoint, readTile, type TiledLog } from '../admin/audit/read-tiles.ts'
import { readAs } from '../admin/session-listing.ts'
import { Rejection } from '../kernel/rejection.ts'
import { permitted } from './admin-route.ts'
import { NO_STORE } from './error-response.ts'
import type { Handler, Route, RouterParts } from './route.ts'

type Read = (context: Context, log: TiledLog) => Promise<Response>

export function logRoutes(parts: RouterParts, base: string): readonly Route[] {
  return [
    logRoute(`${base}/audit/checkpoint`, checkpoint, parts),
    logRoute(`${base}/audit/tile/*`, tileBelow(base), parts),
  ]
}

function logRoute(path: string, read: Read, parts: RouterParts): Route {
  const { listing, revocation } = parts
  const open: Handler = (context) => read(context, listing.store)
  const asAdmin: Handler = (context, facts) => {
    const caller = permitted('read', [], { context, facts }, parts)
    return readAs({ caller, facts }, listing, 'admin.read', () => read(context, listing.store))
  }
  return revocation.settings.publicLog
    ? { path, methods: { GET: open } }
    : { path, bearer: true, methods: { GET: asAdmin } }
}

const checkpoint: Read = async (_context, log) => {
  const note = await readCheckpoint(log)
  if (note === undefined) throw new Rejection('not_found', 'nothing of the audit log is signed yet')
  return new Response(note, { headers: { 'Content-Type': 'text/plain; charset=utf-8', ...NO_STORE } })
}

function tileBelow(base: string): Read {
  return async (context, log) => {
    const found = await readTile(context.req.path.slice(`${base}/audit/`.length), log)
    if (found === undefined) throw new Rejection('not_found', 'the audit log has no such tile')
    // Full tiles are for ever; whether others may keep them is for whoever opens the log to say.
    const caching = found.isFull ? { 'Cache-Control': 'private, max-age=31536000, immutable' } : NO_STORE
    return new Response(new Uint8Array(found.bytes), {
      headers: { 'Content-Type': 'application/octet-stream', ...caching },
    })
  }
}
