/**
 * The RSA key of brokers in this process. Finding its primes takes longer than most tests: it is made once and copied. The
 * other keys are each broker's own, so that what one has signed no other takes for its own work.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { createKey } from '../../src/keys/key-files.ts'
import { scratchDirectory } from './scratch.ts'

let made: Promise<string> | undefined

async function make(): Promise<string> {
  const directory = scratchDirectory('errand-rsa-')
  const now = Math.floor(Date.now() / 1000)
  await createKey(directory, { class: 'access', alg: 'RS256', activateAt: now, now, development: true })
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export async function seedRsaKey(keysDirectory: string): Promise<void> {
  made ??= make()
  mkdirSync(keysDirectory, { recursive: true, mode: 0o700 })
  cpSync(await made, keysDirectory, { recursive: true })
}
