/** What a parent and its workers say to each other, over the channel that `node:cluster` gives them. */

export type FromWorker =
  /** Ready to be told its place. */
  | { readonly is: 'here' }
  | { readonly is: 'alive' }
  | { readonly is: 'listening'; readonly port: number }
  | { readonly is: 'failed'; readonly why: string }
  /** The control slot of the embedded store was written: the others look at once. */
  | { readonly is: 'written' }

export type ToWorker =
  | { readonly is: 'written' }
  | {
      readonly is: 'place'
      readonly id: number
      readonly count: number
      /** Whether the broker as a whole starts. */
      readonly isFirst: boolean
      /** The configuration's files by absolute path, as the parent has read them. */
      readonly files: readonly (readonly [string, string])[]
    }
