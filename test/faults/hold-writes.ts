/**
 * A process that takes an embedded store's one lock for writing, says `held`, and keeps it until a line arrives at its input:
 * whoever writes meanwhile waits, as for a disk that has stopped answering. Argument: the database file.
 */
import { readSync, writeSync } from 'node:fs'
import { open } from 'lmdb'

const [, , path = ''] = process.argv
const database = open<string, string>({ path, encoding: 'string', overlappingSync: false, cache: false })
database.transactionSync(() => {
  writeSync(1, 'held\n')
  readSync(0, Buffer.alloc(1))
})
await database.close()
