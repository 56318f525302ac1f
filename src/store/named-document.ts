/** One shared document of a store, for whoever has nothing to do with the others. */
import type { DocumentStore } from './ports.ts'

export interface NamedDocument {
  read(): Promise<string | undefined>
  /** `false`: it is no longer `expected` (`undefined`: absent), and nothing was changed. */
  replace(expected: string | undefined, text: string): Promise<boolean>
}

export function namedDocument(documents: DocumentStore, name: string): NamedDocument {
  return {
    read: () => documents.read(name),
    replace: (expected, text) => documents.replace(name, expected, text),
  }
}
