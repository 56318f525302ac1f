/** A process that opens an embedded store, says how that went, and then stays until it is killed. Argument: directory. */
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'

try {
  await openStore({ kind: 'embedded', directory: process.argv[2] ?? '', org: 'acme', clock: systemClock })
  process.stdout.write('open\n')
  setInterval(() => undefined, 1_000)
} catch (error) {
  process.stdout.write(`${String(error)}\n`)
}
