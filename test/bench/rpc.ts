/**
 * Processes of the bench and the calls between them, over Node's own channel: every system under test, and the load
 * generator, is a process of its own, so that each one's CPU time can be read apart. A child ends when its parent does.
 */
import { type ChildProcess, fork } from 'node:child_process'

interface Call {
  readonly id: number
  readonly name: string
  readonly input: unknown
}

interface Answer {
  readonly id: number
  readonly output?: unknown
  readonly fault?: string
}

export type Handlers = Readonly<Record<string, (input: never) => unknown>>

/** The child's side: answers calls until its parent goes away. */
export function answerCalls(handlers: Handlers): void {
  process.on('message', (message) => {
    const { id, name, input } = message as Call
    const handler = handlers[name]
    Promise.resolve()
      .then(() => {
        if (handler === undefined) throw new Error(`nothing answers ${name}`)
        return handler(input as never)
      })
      .then(
        (output) => process.send?.({ id, output } satisfies Answer),
        (fault: unknown) => process.send?.({ id, fault: faultText(fault) } satisfies Answer),
      )
  })
  process.once('disconnect', () => process.exit(0))
}

function faultText(fault: unknown): string {
  return fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)
}

export class BenchProcess {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #waiting = new Map<number, { resolve: (output: unknown) => void; reject: (fault: Error) => void }>()
  #calls = 0

  constructor(file: URL, name: string) {
    this.#name = name
    this.#child = fork(file, [], {
      serialization: 'advanced',
      execArgv: [],
      env: { ...process.env, NODE_ENV: 'production' },
    })
    this.#child.on('message', (message) => this.#settle(message as Answer))
    this.#child.once('exit', (code) => this.#abandon(new Error(`${name} ended with code ${code}`)))
  }

  /** @throws what the child threw, with its stack */
  call<Output>(name: string, input?: unknown): Promise<Output> {
    this.#calls += 1
    const id = this.#calls
    return new Promise<Output>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (output: unknown) => void, reject })
      this.#child.send({ id, name, input } satisfies Call, (fault) => {
        if (fault !== null) reject(fault)
      })
    })
  }

  /** SIGKILL: what it measured has been read, and its state is thrown away. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.kill('SIGKILL')
    await gone
  }

  #settle({ id, output, fault }: Answer): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (fault === undefined) waiting?.resolve(output)
    else waiting?.reject(new Error(`${this.#name}: ${fault}`))
  }

  #abandon(fault: Error): void {
    for (const { reject } of this.#waiting.values()) reject(fault)
    this.#waiting.clear()
  }
}
