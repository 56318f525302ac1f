/** A log with a key, in memory: grows, signs checkpoints, and asks a witness as a log does. */
import { generateKeyPairSync } from 'node:crypto'
import { formatCheckpoint } from '../../src/tlog/checkpoint.ts'
import { formatNote, signNote } from '../../src/tlog/note.ts'
import { noteKey } from '../../src/tlog/note-keys.ts'
import { consistencyProof } from '../../src/tlog/proofs.ts'
import { leaves, TilesInMemory } from './tiled-tree.ts'

export class WitnessedLog {
  readonly privateKey = generateKeyPairSync('ed25519').privateKey
  readonly tree = new TilesInMemory()
  readonly key

  constructor(origin: string) {
    this.key = noteKey(origin, 'log', this.privateKey)
  }

  grow(count: number, salt = ''): this {
    for (const leaf of leaves(count, `${salt}${this.tree.frontier.size} `)) this.tree.add(leaf)
    return this
  }

  async checkpoint(): Promise<string> {
    const { size } = this.tree.frontier
    const text = formatCheckpoint({ origin: this.key.name, size, root: this.tree.frontier.root() })
    return formatNote({ text, lines: [await signNote(text, this.key, this.privateKey)] })
  }

  /** Body of an add-checkpoint request (C2SP tlog-witness). */
  async request(old: number, checkpoint?: string): Promise<string> {
    const proof = await consistencyProof(Math.min(old, this.tree.frontier.size), this.tree.frontier.size, this.tree)
    return addRequest(old, proof, checkpoint ?? (await this.checkpoint()))
  }
}

export function addRequest(old: number, proof: readonly Buffer[], checkpoint: string): string {
  return `old ${old}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${checkpoint}`
}
