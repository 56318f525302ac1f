/** Connections that use up what the process may open: whoever holds them open must not stop a broker, least of all for good. */
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { resolve } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { until } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { writeOwnBroker } from '../support/own-broker.ts'

const MAIN = resolve(import.meta.dirname, '../../src/main.ts')
const FILES = 160

let broker: ChildProcess | undefined
let directory: string | undefined
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  const ended = new Promise((done) => broker?.once('close', done))
  if (broker?.kill('SIGKILL')) await ended
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
})

test('a stranger with more connections than the process may have files is evicted; the store stays open', async () => {
  const port = await freePort()
  const own = writeOwnBroker({ listen: { host: '127.0.0.1', port }, registry: './registry.yaml' })
  directory = own.directory
  const command = [process.execPath, MAIN, 'serve', '--config', own.configFile]
  broker = spawn('sh', ['-c', `ulimit -n ${FILES} && exec "$0" "$@"`, ...command], { stdio: 'ignore' })
  const readiness = () => fetch(`http://127.0.0.1:${port}/readyz`, { headers: { Connection: 'close' } })
  const isReady = () =>
    readiness().then(
      ({ status }) => status === 200,
      () => false,
    )
  await until(isReady)
  for (let index = 0; index < 3 * FILES; index += 1) {
    sockets.push(connect(port, '127.0.0.1').on('error', () => undefined))
  }
  // The lock of the store is looked at each second, revocations must be confirmed every two.
  await new Promise((done) => setTimeout(done, 3_000))
  await until(isReady)
  for (const socket of sockets.splice(0)) socket.destroy()
  await until(isReady)
  expect(broker.exitCode).toBeNull()
})
