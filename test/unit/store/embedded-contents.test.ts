import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { systemClock } from '../../../src/kernel/clock.ts'
import { sha256 } from '../../../src/kernel/digest.ts'
import { EmbeddedAudit } from '../../../src/store/embedded-audit.ts'
import { EmbeddedDatabase } from '../../../src/store/embedded-database.ts'

it('the text of a record whose transaction failed is written with the next that names it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-contents-'))
  const database = new EmbeddedDatabase(directory, 'acme', systemClock)
  const audit = new EmbeddedAudit(database)
  const digest = sha256('the text')
  const contents = [{ digest, text: 'the text' }]
  const fails = () => {
    database.put('a', 'b')
    throw new Error('behind its first put')
  }
  const [first] = await Promise.allSettled([audit.append('k', '{"id":"dec_1"}', contents), database.write(fails)])
  expect(first.status).toBe('rejected')
  await audit.append('k', '{"id":"dec_2"}', contents)
  expect(await audit.content(digest, 'k')).toBe('the text')
  await database.close()
  rmSync(directory, { recursive: true, force: true })
})
