/**
 * Which pages of data keys there are, by the hour they were made in, and which key-encryption key was last rotated to: small
 * shared documents, so that all pages can be gone through, and those of an hour forgotten together.
 */
import { DATA_KEY_ATTEMPTS_MAX } from '../../kernel/capture-limits.ts'
import { type DocumentStore, StoreUnavailable } from '../../store/ports.ts'

const ROOT = 'data-keys'
const hourDocument = (hour: string) => `data-keys-of-${hour}`

interface Root {
  /** Id of the key-encryption key that wraps; absent: nobody has rotated yet. */
  readonly active?: string
  /** Oldest first. */
  readonly hours: readonly string[]
}

/** `2026112203`: names of hours sort as the hours do. */
export function hourOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 13).replaceAll(/[-T]/g, '')
}

export class PageList {
  readonly #documents: DocumentStore
  /** Known to be in the root: most pages are of the hour of the one before. */
  #listed: string | undefined

  constructor(documents: DocumentStore) {
    this.#documents = documents
  }

  async active(): Promise<string | undefined> {
    return (await this.#root()).active
  }

  async activate(kek: string): Promise<void> {
    await this.#change(ROOT, (text) => JSON.stringify({ ...rootIn(text), active: kek }))
  }

  /** Oldest first. */
  async hours(): Promise<readonly string[]> {
    return (await this.#root()).hours
  }

  async pagesOf(hour: string): Promise<readonly string[]> {
    return pagesIn(await this.#documents.read(hourDocument(hour)))
  }

  /** The hour first: one without pages is looked at in vain, a page without its hour would never be found. */
  async add(page: string): Promise<void> {
    const hour = page.slice(0, page.indexOf('-'))
    if (this.#listed !== hour) {
      await this.#change(ROOT, (text) => {
        const root = rootIn(text)
        if (root.hours.includes(hour)) return undefined
        return JSON.stringify({ ...root, hours: [...root.hours, hour].sort() })
      })
      this.#listed = hour
    }
    await this.#change(hourDocument(hour), (text) => JSON.stringify([...pagesIn(text), page]))
  }

  async forget(hour: string): Promise<void> {
    await this.#change(ROOT, (text) => {
      const root = rootIn(text)
      return JSON.stringify({ ...root, hours: root.hours.filter((one) => one !== hour) })
    })
    await this.#change(hourDocument(hour), (text) => (text === undefined ? undefined : '[]'))
  }

  async #root(): Promise<Root> {
    return rootIn(await this.#documents.read(ROOT))
  }

  /** @param change `undefined`: it is as it should be */
  async #change(name: string, change: (text: string | undefined) => string | undefined): Promise<void> {
    for (let attempt = 0; attempt < DATA_KEY_ATTEMPTS_MAX; attempt += 1) {
      const text = await this.#documents.read(name)
      const changed = change(text)
      if (changed === undefined || (await this.#documents.replace(name, text, changed))) return
    }
    throw new StoreUnavailable('too many list pages of data keys at once')
  }
}

/** Both written here alone. */
function rootIn(text: string | undefined): Root {
  return text === undefined ? { hours: [] } : (JSON.parse(text) as Root)
}

function pagesIn(text: string | undefined): readonly string[] {
  return text === undefined ? [] : (JSON.parse(text) as readonly string[])
}
