/** Where a command reads and writes: this process's streams. Answers go to `out`, everything said about them to `err`. */
import { createInterface, type Interface } from 'node:readline'
import { CommandFailure } from './failures.ts'
import { type Styles, stylesFor } from './terminal.ts'

export interface Io {
  out(text: string): void
  err(text: string): void
  /** For `out`, and for `err`. */
  readonly styles: Styles
  readonly errStyles: Styles
  /** Whether a person looks at `out`. */
  readonly outIsTerminal: boolean
  /** Whether a person types, and nothing is piped in. */
  readonly inIsTerminal: boolean
  /** Everything piped in. @throws CommandFailure beyond the bound */
  readAll(charsMax: number): Promise<string>
  /** One line of an answer, trimmed. @throws CommandFailure where no more answers come */
  ask(question: string): Promise<string>
  /** Lets the process end. */
  close(): void
}

export function processIo(): Io {
  const { stdin, stdout, stderr } = process
  for (const stream of [stdout, stderr]) stream.on('error', endQuietly)
  const answers = new Answers(stdin, stdout)
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    styles: stylesFor(stdout),
    errStyles: stylesFor(stderr),
    outIsTerminal: stdout.isTTY === true,
    inIsTerminal: stdin.isTTY === true,
    readAll: (charsMax) => readAll(stdin, charsMax),
    ask: (question) => answers.next(question),
    close: () => answers.close(),
  }
}

/** `errand audit | head` closes the pipe early; that is no fault. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  process.exit()
}

async function readAll(stdin: NodeJS.ReadStream, charsMax: number): Promise<string> {
  let text = ''
  stdin.setEncoding('utf8')
  for await (const chunk of stdin as AsyncIterable<string>) {
    text += chunk
    if (text.length > charsMax) throw new CommandFailure(`more than ${charsMax} characters were piped in`)
  }
  return text
}

/** Lines as they come, kept until asked for: a pipe delivers all answers at once. */
class Answers {
  readonly #input: NodeJS.ReadStream
  readonly #output: NodeJS.WriteStream
  readonly #lines: string[] = []
  #reader: Interface | undefined
  #waiting: { resolve(line: string): void; reject(error: Error): void } | undefined
  #ended = false

  constructor(input: NodeJS.ReadStream, output: NodeJS.WriteStream) {
    this.#input = input
    this.#output = output
  }

  next(question: string): Promise<string> {
    this.#start()
    this.#output.write(question)
    const line = this.#lines.shift()
    if (line !== undefined) return Promise.resolve(line)
    if (this.#ended) return Promise.reject(noAnswer())
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  close(): void {
    this.#reader?.close()
  }

  #start(): void {
    if (this.#reader !== undefined) return
    this.#reader = createInterface({ input: this.#input })
    this.#reader.on('line', (text) => {
      const line = text.trim()
      if (this.#waiting === undefined) this.#lines.push(line)
      else this.#waiting.resolve(line)
      this.#waiting = undefined
    })
    this.#reader.on('close', () => {
      this.#ended = true
      this.#waiting?.reject(noAnswer())
      this.#waiting = undefined
    })
  }
}

function noAnswer(): CommandFailure {
  return new CommandFailure('no answer came; nothing was written')
}
