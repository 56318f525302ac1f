/**
 * KeyKeeper: keeps a running broker's ring in step with its key directory.
 *
 * - New files are noticed by themselves, within two seconds: several brokers on one directory need no signal between the file
 *   and the moment its key signs. A directory that cannot be read, or holds one file that is not exactly as it should be,
 *   changes nothing: the old ring stays, and the log says why.
 * - A killed key leaves the ring at once. Its file is set aside under another name, so that neither a restart nor a store that
 *   has lost its cut-offs brings it back; where the directory cannot be written the cut-off alone must hold.
 */
import { type Clock, epochSeconds } from '../kernel/clock.ts'
import { messageOf } from '../kernel/fault.ts'
import { Rejection } from '../kernel/rejection.ts'
import { createSigner, keyFileNames, loadKeys, setAside } from './key-files.ts'
import type { KeyRing } from './key-ring.ts'
import type { KeyAlgorithm, KeyClass } from './ring-view.ts'
import type { SharedRing } from './shared-ring.ts'

const KEY_POLL_MS = 2_000
/** After a kill somebody is making another key just now: this often, this many times. */
const HURRIED_POLL_MS = 100
const HURRIED_POLLS = 30

export interface KeptKeys {
  readonly directory: string
  readonly development: boolean
  readonly ring: KeyRing
  readonly clock: Clock
  /** Where other brokers share the ring: told after every look at the directory. */
  readonly shared?: Pick<SharedRing, 'sync'> | undefined
}

export class KeyKeeper {
  readonly #kept: KeptKeys
  readonly #report: (problem: string) => void
  readonly #asides = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> = Promise.resolve()
  #running = false
  #hurried = 0
  /** The names last loaded, in one text; a key file never changes, it only comes and goes. */
  #seen: string | undefined
  #problem: string | undefined

  constructor(kept: KeptKeys, report: (problem: string) => void) {
    this.#kept = kept
    this.#report = report
  }

  start(): void {
    this.#running = true
    this.#pollLater()
  }

  async stop(): Promise<void> {
    this.#running = false
    clearTimeout(this.#timer)
    await this.#polling
    await Promise.all(this.#asides)
  }

  /** @throws KeyFileError, and the ring stays as it is. */
  async reload(): Promise<void> {
    const { directory, development, ring } = this.#kept
    const names = (await keyFileNames(directory)).join('\n')
    ring.replace(await loadKeys(directory, { development }))
    this.#seen = names
  }

  /** A cut-off has killed this key: called from the feed, for any broker's kill. Its file is looked after behind. */
  killed(kid: string): void {
    const { directory, ring } = this.#kept
    ring.strike(kid)
    const aside = setAside(directory, kid).then(
      () => undefined,
      (error: unknown) => this.#report(`the file of the killed key ${kid} could not be set aside: ${messageOf(error)}`),
    )
    this.#asides.add(aside)
    void aside.then(() => this.#asides.delete(aside))
    this.#hurried = HURRIED_POLLS
    this.#pollLater()
  }

  /**
   * The key that signs in place of a killed one: the one that takes over by itself, else a new one made here and now. Made by
   * the one broker that was asked to kill: brokers that share its directory find the file within seconds, others need a copy.
   * @returns `undefined`: there is none, and none could be made; issuing with this class and algorithm stops.
   */
  async ensureSigner(cls: KeyClass, alg: KeyAlgorithm): Promise<string | undefined> {
    const { directory, development, ring, clock } = this.#kept
    try {
      await this.reload()
      if (this.#signer(cls, alg) === undefined) {
        const now = epochSeconds(clock)
        await createSigner(directory, { class: cls, alg, activateAt: now, now, development }, (kid) =>
          ring.isStruck(kid),
        )
        await this.reload()
      }
    } catch (error) {
      this.#report(`no ${cls} key for ${alg} could be made in place of a killed one: ${messageOf(error)}`)
    }
    return this.#signer(cls, alg)
  }

  #signer(cls: KeyClass, alg: KeyAlgorithm): string | undefined {
    try {
      return this.#kept.ring.active(cls, alg, epochSeconds(this.#kept.clock)).kid
    } catch (error) {
      if (error instanceof Rejection) return undefined
      throw error
    }
  }

  #pollLater(): void {
    clearTimeout(this.#timer)
    if (!this.#running) return
    const next = () => {
      this.#hurried = Math.max(0, this.#hurried - 1)
      this.#polling = this.#polling.then(() => this.#poll()).finally(() => this.#pollLater())
    }
    this.#timer = setTimeout(next, this.#hurried > 0 ? HURRIED_POLL_MS : KEY_POLL_MS)
    this.#timer.unref()
  }

  async #poll(): Promise<void> {
    try {
      const names = (await keyFileNames(this.#kept.directory)).join('\n')
      if (names !== this.#seen) await this.reload()
      await this.#kept.shared?.sync()
      this.#tell(this.#lacking())
    } catch (error) {
      this.#tell(messageOf(error))
    }
  }

  #lacking(): string | undefined {
    const { ring, clock } = this.#kept
    const kids = ring.lacking(epochSeconds(clock)).map(({ class: cls, kid }) => `${cls} key ${kid}`)
    return kids.length === 0 ? undefined : `announced by another broker, and its file is not here: ${kids.join(', ')}`
  }

  /** Once, until it changes. */
  #tell(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.#problem) this.#report(problem)
    this.#problem = problem
  }
}
