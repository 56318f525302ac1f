import { expect, test } from 'vitest'
import { trustDomainWarnings } from '../../../../src/cli/check/trust-domain-warnings.ts'
import { decodeRegistry } from '../../../../src/registry/load-registry.ts'
import { startTrustDomain } from '../../../support/trust-domain.ts'

const warningsOf = (trust_domains: readonly unknown[]) =>
  trustDomainWarnings(decodeRegistry({ trust_domains }, 'registry.yaml', { issuer: 'https://errand.example' }), {
    outbound: { allowLoopback: true, internalHosts: new Set() },
  })

test('a trust domain is named whose bundle cannot be read, or trusts nobody; the others are not', async () => {
  const [good, empty, down] = await Promise.all(
    ['a.example', 'b.example', 'c.example'].map((name) => startTrustDomain(name)),
  )
  try {
    if (good === undefined || empty === undefined || down === undefined) throw new Error('three were started')
    empty.bundle = { keys: [] }
    down.misbehave((_request, response) => response.writeHead(500).end())
    const file = { name: 'd.example', bundle_file: '/nowhere/bundle.json' }
    const warnings = await warningsOf([good.entry, empty.entry, down.entry, file])
    expect(warnings).toHaveLength(3)
    expect(warnings[0]).toBe('trust domain b.example: the bundle has no usable key')
    expect(warnings[1]).toMatch(/^trust domain c\.example: .* answered with status 500$/)
    expect(warnings[2]).toMatch(/^trust domain d\.example: \S+ cannot be read \(ENOENT\)$/)
    expect(await warningsOf([good.entry])).toEqual([])
  } finally {
    await Promise.all([good, empty, down].map((domain) => domain?.close()))
  }
})
