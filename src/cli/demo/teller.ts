/** Tells the story as it happens: chapters, steps with ✓ or ✗ and their time, and what was seen below them. */
import { printable, type Styles } from '../terminal.ts'

/** Something came out otherwise than told; the story ends here. */
export class NotAsTold extends Error {
  constructor(what: string) {
    super(what)
    this.name = 'NotAsTold'
  }
}

export interface TellerOptions {
  readonly write: (text: string) => void
  readonly styles: Styles
  /** Milliseconds, with fractions, from any start. */
  readonly stopwatch: () => number
}

/** What a step found, and the lines to show below it. */
export interface Found<T> {
  readonly value: T
  readonly lines?: readonly string[]
}

const WIDTH = 92

export class Teller {
  readonly #options: TellerOptions
  #chapters = 0
  #kept = 0

  constructor(options: TellerOptions) {
    this.#options = options
  }

  title(title: string, lines: readonly string[]): void {
    const { styles } = this.#options
    this.#line('', styles.bold(styles.accent(title)), '', ...lines.map((line) => styles.dim(line)))
  }

  end(asTold: boolean): void {
    const { styles } = this.#options
    const words = asTold
      ? styles.good(`Every step came out as told: ${this.#kept} of ${this.#kept}.`)
      : styles.bad(`The story ends here: ${this.#kept} steps came out as told, the next did not.`)
    this.#line('', words, '')
  }

  chapter(title: string): void {
    this.#chapters += 1
    this.#line('', this.#options.styles.bold(`${this.#chapters}. ${title}`))
  }

  /** @throws NotAsTold for whatever `act` throws, after showing it. */
  async step<T>(words: string, act: () => Promise<Found<T>>): Promise<T> {
    const { styles, stopwatch } = this.#options
    const start = stopwatch()
    try {
      const { value, lines = [] } = await act()
      const took = `${Math.round(stopwatch() - start)} ms`
      this.#kept += 1
      this.#line(`   ${styles.good('✓')} ${words}${styles.dim(took.padStart(Math.max(2, WIDTH - words.length)))}`)
      this.#line(...lines.map((line) => `       ${line}`))
      return value
    } catch (error) {
      const what = error instanceof Error ? error.message : 'something unforeseen was thrown'
      this.#line(`   ${styles.bad('✗')} ${words}`, `       ${styles.bad(printable(what))}`)
      throw error instanceof NotAsTold ? error : new NotAsTold(what)
    }
  }

  #line(...lines: readonly string[]): void {
    for (const line of lines) this.#options.write(`${line.trimEnd()}\n`)
  }
}
