/**
 * Proofs that an entry is in a tree, and that a tree is the beginning of another: made as RFC 6962 §2.1.1 and §2.1.2 say,
 * checked as RFC 9162 §2.1.3.2 and §2.1.4.2 say. Whoever checks needs no tile and trusts nobody but the roots.
 */
import { EMPTY_ROOT, HASH_BYTES, nodeHash, splitPoint } from './hashes.ts'
import { TiledTree } from './subtrees.ts'
import type { TileReader } from './tiles.ts'

/** More than any tree has heights: whoever sends more sends no proof. */
export const PROOF_HASHES_MAX = 63

/** Sibling hashes, the leaf's first. @throws RangeError where the tree has no such entry */
export async function inclusionProof(index: number, size: number, reader: TileReader): Promise<Buffer[]> {
  if (!isSize(size) || !isSize(index) || index >= size) throw new RangeError('no such entry in a tree of this size')
  const siblings: [number, number][] = []
  for (let [start, end] = [0, size]; end - start > 1; ) {
    const middle = start + splitPoint(end - start)
    siblings.unshift(index < middle ? [middle, end] : [start, middle])
    if (index < middle) end = middle
    else start = middle
  }
  const tree = new TiledTree(size, reader)
  return Promise.all(siblings.map(([start, end]) => tree.range(start, end)))
}

/** Empty for an old tree with no entries, or with all. @throws RangeError where the old tree is the larger one */
export async function consistencyProof(oldSize: number, size: number, reader: TileReader): Promise<Buffer[]> {
  if (!isSize(oldSize) || !isSize(size) || oldSize > size) throw new RangeError('the old tree is the larger one')
  if (oldSize === 0 || oldSize === size) return []
  const parts: [number, number][] = []
  let [start, end] = [0, size]
  // SUBPROOF: down to the subtree that the old tree ends with.
  while (end !== oldSize) {
    const middle = start + splitPoint(end - start)
    parts.unshift(oldSize <= middle ? [middle, end] : [start, middle])
    if (oldSize <= middle) end = middle
    else start = middle
  }
  // The old tree's own root needs no saying.
  if (start > 0) parts.unshift([start, end])
  const tree = new TiledTree(size, reader)
  return Promise.all(parts.map(([from, to]) => tree.range(from, to)))
}

export interface Tree {
  readonly size: number
  readonly root: Buffer
}

/** Whether the entry with this leaf hash is the `index`th of the tree (RFC 9162 §2.1.3.2). */
export function verifyInclusion(leaf: Buffer, index: number, tree: Tree, proof: readonly Buffer[]): boolean {
  if (!isSize(index) || !isSize(tree.size) || index >= tree.size || !areHashes([leaf, tree.root, ...proof]))
    return false
  let [at, last, hash] = [index, tree.size - 1, leaf]
  for (const sibling of proof) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash)
      // At the right edge a subtree stands alone for some heights.
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else {
      hash = nodeHash(hash, sibling)
    }
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 && hash.equals(tree.root)
}

/** Whether the old tree is the beginning of the new one (RFC 9162 §2.1.4.2). */
export function verifyConsistency(old: Tree, tree: Tree, proof: readonly Buffer[]): boolean {
  if (!isSize(old.size) || !isSize(tree.size) || old.size > tree.size) return false
  if (!areHashes([old.root, tree.root, ...proof])) return false
  if (old.size === tree.size) return proof.length === 0 && old.root.equals(tree.root)
  if (old.size === 0) return proof.length === 0 && old.root.equals(EMPTY_ROOT)
  const [first, ...rest] = Number.isInteger(Math.log2(old.size)) ? [old.root, ...proof] : proof
  let [at, last] = [old.size - 1, tree.size - 1]
  while (at % 2 === 1) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  if (first === undefined || rest.length === 0) return false
  let [oldHash, newHash] = [first, first]
  for (const part of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      oldHash = nodeHash(part, oldHash)
      newHash = nodeHash(part, newHash)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else {
      newHash = nodeHash(newHash, part)
    }
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 && oldHash.equals(old.root) && newHash.equals(tree.root)
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function areHashes(hashes: readonly Buffer[]): boolean {
  return hashes.length <= PROOF_HASHES_MAX + 2 && hashes.every(({ length }) => length === HASH_BYTES)
}
