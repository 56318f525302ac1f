/** Stores with few and with many live sessions, and a broker on each. */
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { claimsOf } from '../support/world.ts'
import type { Output } from './output.ts'
import type { Template } from './session-copies.ts'
import type { Bench, Runner, Scene, StoreOf } from './systems.ts'

export interface Filled {
  readonly runners: readonly { readonly label: string; readonly runner: Runner }[]
  /** What one session occupies for as long as it lives: its record, with the id of its commit, and its entries in three lists. */
  readonly bytes: { readonly redis: number; readonly embedded: number }
  /** What opening one leaves in Redis at first: the same, its single-use id (minutes), audit record and contents (bounded). */
  readonly openingBytes: number
}

/** Between two words on how far it has come. */
const CHUNK = 10_000
/** Enough that what Redis takes once and for all does not count. */
const OPENED = 500

export async function fillStores(
  bench: Bench,
  scene: Scene,
  counts: { readonly few: number; readonly many: number },
  output: Output,
): Promise<Filled> {
  const { template, openingBytes } = await openTemplate(bench, scene)
  const bytes = { redis: 0, embedded: 0 }
  const prepared: Promise<Filled['runners'][number]>[] = []
  for (const much of ['few', 'many'] as const) {
    for (const kind of ['redis', 'embedded'] as const) {
      const label = `${kind} ${much} sessions`
      const store: StoreOf =
        kind === 'redis'
          ? { kind, url: (await bench.redis()).url }
          : { kind, directory: join(bench.directory, label.replaceAll(' ', '-')) }
      const filling = fill(bench, store, { template, count: counts[much], label }, output)
      const ready = filling.then(async (each) => {
        if (much === 'many') bytes[kind] = each
        return { label, runner: await bench.errand(label, scene, store) }
      })
      prepared.push(ready)
    }
  }
  return { runners: await Promise.all(prepared), bytes, openingBytes }
}

/** One session, opened as any other; what the store holds of it is what the others are copied from. */
async function openTemplate(
  bench: Bench,
  scene: Scene,
): Promise<{ readonly template: Template; readonly openingBytes: number }> {
  const store: StoreOf = { kind: 'redis', url: (await bench.redis()).url }
  const { process, target } = await bench.errand('template', scene, store)
  const token = await bench.generator.call<string>('openHandles', { target, count: 1, depth: 1 })
  const { sid, anc } = claimsOf(token)
  const session = String(sid)
  const node = String((anc as readonly unknown[])[0])
  const filler = bench.process('./fill.ts', 'the filler')
  await filler.call('open', store)
  const template = await filler.call<Template>('read', { session, node })
  const before = await bytesOf(store, filler)
  await bench.generator.call('openHandles', { target, count: OPENED, depth: 1 })
  const openingBytes = Math.round(((await bytesOf(store, filler)) - before) / OPENED)
  await Promise.all([filler.stop(), process.stop()])
  return { template, openingBytes }
}

/** @returns bytes per session */
async function fill(
  bench: Bench,
  store: StoreOf,
  what: { readonly template: Template; readonly count: number; readonly label: string },
  output: Output,
): Promise<number> {
  const { template, count, label } = what
  const filler = bench.process('./fill.ts', 'the filler')
  await filler.call('open', store)
  const before = await bytesOf(store, filler)
  for (let written = 0; written < count; written += CHUNK) {
    output.progress(`${label}: ${written} of ${count} written`)
    await filler.call('write', { template, count: Math.min(CHUNK, count - written) })
  }
  const after = await bytesOf(store, filler)
  output.progress(`${label}: sweeping`)
  await filler.call('sweep', store)
  await filler.call('close')
  await filler.stop()
  return Math.round((after - before) / count)
}

async function bytesOf(store: StoreOf, filler: { call<T>(name: string): Promise<T> }): Promise<number> {
  if (store.kind === 'embedded') return filler.call<number>('bytes')
  const redis = new Redis(store.url)
  const memory = await redis.info('memory')
  redis.disconnect()
  return Number(/used_memory:([0-9]+)/.exec(memory)?.[1])
}
