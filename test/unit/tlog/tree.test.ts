/** The Merkle tree against RFC 6962: the vectors every implementation shares, and its definitions by plain recursion. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Frontier } from '../../../src/tlog/frontier.ts'
import { EMPTY_ROOT, leafHash } from '../../../src/tlog/hashes.ts'
import { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion } from '../../../src/tlog/proofs.ts'
import { TiledTree } from '../../../src/tlog/subtrees.ts'
import { leaves, naivePath, naiveRoot, naiveSubproof, TilesInMemory } from '../../support/tiled-tree.ts'

/** The inputs and roots of the Certificate Transparency reference implementation's tests. */
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
const FIRST_OF_EIGHT = [
  '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
]

function grown(count: number): { tree: TilesInMemory; hashes: Buffer[]; roots: Buffer[] } {
  const tree = new TilesInMemory()
  const hashes = leaves(count)
  const roots = [tree.frontier.root()]
  for (const leaf of hashes) {
    tree.add(leaf)
    roots.push(tree.frontier.root())
  }
  return { tree, hashes, roots }
}

test('RFC 6962 §2.1: the known roots of the known inputs, and of nothing', async () => {
  const tree = new TilesInMemory()
  expect(tree.frontier.root()).toEqual(EMPTY_ROOT)
  expect(EMPTY_ROOT.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  for (const [index, input] of INPUTS.entries()) {
    tree.add(leafHash(Buffer.from(input, 'hex')))
    expect(tree.frontier.root().toString('hex')).toBe(ROOTS[index])
  }
  const proof = await inclusionProof(0, 8, tree)
  expect(proof.map((hash) => hash.toString('hex'))).toEqual(FIRST_OF_EIGHT)
})

test('RFC 6962 §2.1: every size to 300 has the root of the recursive definition, from its frontier and from its tiles', async () => {
  const { tree, hashes, roots } = grown(300)
  for (let size = 0; size <= 300; size++) {
    expect(roots[size]).toEqual(naiveRoot(hashes.slice(0, size)))
    expect(await new TiledTree(size, tree).root()).toEqual(roots[size])
  }
})

test('RFC 6962 §2.1.1: inclusion proofs of every entry of small trees are the definition’s, and verify', async () => {
  const { tree, hashes, roots } = grown(40)
  for (let size = 1; size <= 40; size++) {
    const root = roots[size] as Buffer
    for (let index = 0; index < size; index++) {
      const proof = await inclusionProof(index, size, tree)
      expect(proof).toEqual(naivePath(index, hashes.slice(0, size)))
      expect(verifyInclusion(hashes[index] as Buffer, index, { size, root }, proof)).toBe(true)
    }
  }
})

test('RFC 6962 §2.1.2: consistency proofs between all pairs of small trees are the definition’s, and verify', async () => {
  const { tree, hashes, roots } = grown(40)
  for (let size = 0; size <= 40; size++) {
    for (let old = 0; old <= size; old++) {
      const proof = await consistencyProof(old, size, tree)
      if (old > 0) expect(proof).toEqual(naiveSubproof(old, hashes.slice(0, size), true))
      const [from, to] = [roots[old] as Buffer, roots[size] as Buffer]
      expect(verifyConsistency({ size: old, root: from }, { size, root: to }, proof)).toBe(true)
    }
  }
})

const BIG = 10_000
const big = grown(BIG)
const sizes = fc.integer({ min: 1, max: BIG })

test('any entry of any tree to 10 000 is proven, at that index and in that tree only', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), fc.nat(), async (size, any, other) => {
      const index = any % size
      const proof = await inclusionProof(index, size, big.tree)
      const leaf = big.hashes[index] as Buffer
      const tree = { size, root: big.roots[size] as Buffer }
      expect(verifyInclusion(leaf, index, tree, proof)).toBe(true)
      const wrong = other % size
      if (wrong !== index) expect(verifyInclusion(leaf, wrong, tree, proof)).toBe(false)
      expect(verifyInclusion(big.hashes[size] ?? EMPTY_ROOT, index, tree, proof)).toBe(false)
      expect(verifyInclusion(leaf, index, { size, root: big.roots[size - 1] as Buffer }, proof)).toBe(false)
      expect(verifyInclusion(leaf, index, tree, [...proof, leaf])).toBe(false)
      if (proof.length > 0) expect(verifyInclusion(leaf, index, tree, proof.slice(1))).toBe(false)
    }),
    { numRuns: 150 },
  )
})

test('any two trees to 10 000 are proven consistent, and a proof holds for no other pair', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, sizes, fc.nat(), async (one, two, flip) => {
      const [old, size] = [Math.min(one, two), Math.max(one, two)]
      const proof = await consistencyProof(old, size, big.tree)
      const from = { size: old, root: big.roots[old] as Buffer }
      const to = { size, root: big.roots[size] as Buffer }
      expect(verifyConsistency(from, to, proof)).toBe(true)
      const other = big.roots[old - 1] as Buffer
      expect(verifyConsistency({ size: old, root: other }, to, proof)).toBe(false)
      expect(verifyConsistency(from, { size, root: other }, proof)).toBe(false)
      expect(verifyConsistency(from, to, [...proof, other])).toBe(false)
      if (proof.length === 0) return
      const bent = proof.map((hash) => Buffer.from(hash))
      const hash = bent[flip % bent.length] as Buffer
      hash[flip % 32] = (hash[flip % 32] as number) ^ 1
      expect(verifyConsistency(from, to, bent)).toBe(false)
    }),
    { numRuns: 150 },
  )
})

test('a frontier goes on from what was kept of it, and is not made of what cannot be one', () => {
  fc.assert(
    fc.property(sizes, fc.nat({ max: 300 }), (size, more) => {
      const kept = Frontier.empty()
      for (const leaf of big.hashes.slice(0, size)) kept.add(leaf)
      const again = Frontier.of(kept.size, kept.hashes)
      for (const leaf of big.hashes.slice(size, size + more)) again.add(leaf)
      expect(again.root()).toEqual(big.roots[Math.min(BIG, size + more)])
      expect(() => Frontier.of(size, [...kept.hashes, EMPTY_ROOT])).toThrow(RangeError)
      expect(() => Frontier.of(size, kept.hashes.slice(1))).toThrow(RangeError)
    }),
    { numRuns: 20 },
  )
  expect(() => Frontier.of(1, [Buffer.alloc(31)])).toThrow(RangeError)
  expect(() => Frontier.of(-1, [])).toThrow(RangeError)
  expect(() => Frontier.of(0.5, [])).toThrow(RangeError)
})

test('what is not a size, an entry or a hash proves nothing', async () => {
  const tree = { size: 3, root: big.roots[3] as Buffer }
  const leaf = big.hashes[2] as Buffer
  for (const index of [-1, 3, 1.5, Number.NaN, 2 ** 53]) expect(verifyInclusion(leaf, index, tree, [])).toBe(false)
  expect(verifyInclusion(leaf, 0, { size: 0, root: EMPTY_ROOT }, [])).toBe(false)
  expect(verifyInclusion(leaf.subarray(1), 0, { size: 1, root: leaf.subarray(1) }, [])).toBe(false)
  expect(verifyConsistency(tree, { ...tree, size: 2 }, [])).toBe(false)
  expect(verifyConsistency({ size: 0, root: leaf }, tree, [])).toBe(false)
  expect(verifyConsistency({ size: 1, root: leaf }, { size: 2 ** 53, root: leaf }, [leaf])).toBe(false)
  await expect(inclusionProof(3, 3, big.tree)).rejects.toThrow(RangeError)
  await expect(consistencyProof(4, 3, big.tree)).rejects.toThrow(RangeError)
})

test('a proof in a tree of 10 000 reads few tiles, and none from a tile that is cut short', async () => {
  big.tree.reads = 0
  await inclusionProof(4_321, BIG, big.tree)
  expect(big.tree.reads).toBeLessThanOrEqual(4)
  const cut = { tile: async (level: number, index: number) => (await big.tree.tile(level, index)).subarray(32) }
  await expect(inclusionProof(0, 9_999, cut)).rejects.toThrow('cut short')
})
