/** A process that opens an embedded store, says how that went, and then stays until it is killed or its stdin ends. Argument: directory. */
import { systemClock } from '../../../src/kernel/clock.ts'
import { openStore } from '../../../src/store/open-store.ts'

try {
  await openStore({ kind: 'embedded', directory: process.argv[2] ?? '', org: 'acme', clock: systemClock })
  process.stdout.write('open\n')
  process.stdin.resume().once('end', () => process.exit())
} catch (error) {
  process.stdout.write(`${String(error)}\n`)
}
