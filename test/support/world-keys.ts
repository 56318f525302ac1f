/**
 * The RSA key of brokers in this process. Finding its primes takes longer than most tests: it is made once and copied. The
 * other keys are each broker's own, so that what one has signed no other takes for its own work.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createKey } from '../../src/keys/key-files.ts'
import { scratchDirectory } from './scratch.ts'

interface KeyFile {
  readonly name: string
  readonly text: string
}

let made: Promise<readonly KeyFile[]> | undefined

async function make(): Promise<readonly KeyFile[]> {
  const directory = scratchDirectory('errand-rsa-')
  try {
    // A clock that a test has stopped may have been stopped a second before: the key is good by it, too.
    const now = Math.floor(Date.now() / 1000) - 60
    await createKey(directory, { class: 'access', alg: 'RS256', activateAt: now, now, development: true })
    return readdirSync(directory).map((name) => ({ name, text: readFileSync(join(directory, name), 'utf8') }))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

export async function seedRsaKey(keysDirectory: string): Promise<void> {
  made ??= make()
  mkdirSync(keysDirectory, { recursive: true, mode: 0o700 })
  for (const { name, text } of await made) writeFileSync(join(keysDirectory, name), text, { mode: 0o600 })
}
