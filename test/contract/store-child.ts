/**
 * The other of two processes on one embedded store: does what it is told, over the channel of `fork`, and says how that went.
 * Arguments: directory, organisation, pid of the lock's holder, bounds of the outbox as JSON.
 */
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { StoreCall, StoreReply } from './store-pair.ts'

const [directory = '', org = '', holder = '', bounds = '{}'] = process.argv.slice(2)
const heard = new Set<() => void>()
const store = await openStore({
  kind: 'embedded',
  directory,
  org,
  clock: systemClock,
  ...JSON.parse(bounds),
  peers: {
    lockHolderPid: Number(holder),
    notify: () => void process.send?.('written'),
    onNotified: (listener) => void heard.add(listener),
  },
})

process.on('message', (message: StoreCall | 'written') => {
  if (message === 'written') for (const listener of heard) listener()
  else void answer(message)
})
process.once('disconnect', () => process.exit())
process.send?.('open')

async function answer({ id, part, method, args }: StoreCall): Promise<void> {
  let reply: StoreReply
  try {
    const target = store[part] as unknown as Record<string, (...all: unknown[]) => Promise<unknown>>
    reply = { id, result: await target[method]?.(...args) }
  } catch (error) {
    reply = { id, error, name: error instanceof Error ? error.name : '' }
  }
  process.send?.(reply)
}
