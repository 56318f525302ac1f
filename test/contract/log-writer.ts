/**
 * Child of the log's durability test: records, and brings them into the log, without end; says each append aloud after, and only
 * after, it was acknowledged. Arguments: directory.
 */
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'
import { appendNext } from './log-turns.ts'

const [directory = ''] = process.argv.slice(2)
const { audit, log } = await openStore({ kind: 'embedded', directory, org: 'acme', clock: systemClock })

async function record(): Promise<never> {
  for (let n = 0; ; n++) await audit.append('key', `${process.pid} ${n}`)
}

async function sequence(): Promise<never> {
  for (;;) {
    const head = await appendNext({ audit, log })
    if (head !== undefined) process.stdout.write(`${head}\n`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

await Promise.all([record(), sequence()])
