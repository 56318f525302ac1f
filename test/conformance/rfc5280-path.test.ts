/**
 * Certification paths (RFC 5280 §6) of X.509-SVIDs, judged as a verifier meets them: made by real authorities, each wrong in
 * one way.
 */
import { describe, expect, test } from 'vitest'
import { X509_SIGNATURES_MAX } from '../../src/kernel/limits.ts'
import { decodeCertificate } from '../../src/x509/certificate.ts'
import type { CertificateErrorCode } from '../../src/x509/certificate-error.ts'
import { Issuances } from '../../src/x509/issuances.ts'
import { readSvid, verifySvid } from '../../src/x509/svid.ts'
import { type IssuedCertificate, NAME, selfSigned, TestAuthority } from '../support/authorities.ts'

const ID = 'spiffe://example.org/agent'
const POLICY_CONSTRAINTS = '2.5.29.36'

interface Presented {
  readonly leaf: Pick<IssuedCertificate, 'der'>
  readonly through?: readonly TestAuthority[]
  readonly roots: readonly Pick<TestAuthority, 'der'>[]
  readonly issuances?: Issuances
  /** Hours from now. */
  readonly at?: number
}

async function verify({
  leaf,
  through = [],
  roots,
  issuances = new Issuances(10),
  at = 0,
}: Presented): Promise<string> {
  const svid = readSvid([leaf.der, ...through.map(({ der }) => der)])
  const authorities = roots.map(({ der }) => decodeCertificate(der))
  await verifySvid(svid, { authorities, issuances, now: Math.floor(Date.now() / 1000) + at * 3600 })
  return svid.spiffeId.id
}

async function expectRefused(presented: Presented, code: CertificateErrorCode, words?: RegExp): Promise<void> {
  const refusal = await verify(presented).then(
    () => 'accepted',
    (error) => error,
  )
  expect(refusal).toMatchObject({ name: 'CertificateError', code })
  if (words !== undefined) expect((refusal as Error).message).toMatch(words)
}

const root = await TestAuthority.root({ uris: ['spiffe://example.org'] })
/** For several trust domains. */
const plain = await TestAuthority.root()

describe('a path that is in order', () => {
  test('is one step long, or goes through what was presented, in any order', async () => {
    const upper = await root.intermediate()
    const lower = await upper.intermediate({ pathLength: 0 })
    expect(await verify({ leaf: await root.issue({ uris: [ID] }), roots: [root] })).toBe(ID)
    const leaf = await lower.issue({ uris: [ID] })
    expect(await verify({ leaf, through: [lower, upper], roots: [root] })).toBe(ID)
    expect(await verify({ leaf, through: [upper, lower], roots: [root] })).toBe(ID)
  })

  test.each(['p256', 'p384', 'ed25519', 'rsa2048'] as const)('may be signed with %s', async (algorithm) => {
    const authority = await TestAuthority.root({ algorithm })
    expect(await verify({ leaf: await authority.issue({ uris: [ID] }), roots: [authority] })).toBe(ID)
  })

  test('ends in an authority that is no root itself, where that is the one configured', async () => {
    const intermediate = await root.intermediate()
    expect(await verify({ leaf: await intermediate.issue({ uris: [ID] }), roots: [intermediate] })).toBe(ID)
  })

  test('is found beside authorities of the same name, and beside expired twins of the same key', async () => {
    const name = 'C=US, O=SPIFFE'
    const current = await TestAuthority.root({ subject: name })
    const expired = await TestAuthority.root({ subject: name, keyOf: current, from: -48, until: -24 })
    const others = await Promise.all(Array.from({ length: 20 }, () => TestAuthority.root({ subject: name })))
    const leaf = await current.issue({ uris: [ID] })
    expect(await verify({ leaf, roots: [...others, expired, current] })).toBe(ID)
  })

  test('is found through a cross-signed authority, though one of its two issuers leads nowhere', async () => {
    const foreign = await TestAuthority.root()
    const own = await root.intermediate({ subject: 'CN=crossed' })
    const crossed = await foreign.intermediate({ subject: 'CN=crossed', keyOf: own })
    const leaf = await own.issue({ uris: [ID] })
    expect(await verify({ leaf, through: [crossed, own], roots: [root] })).toBe(ID)
  })

  test('holds through a rotation of the authority: old and new side by side, then the new one alone', async () => {
    const next = await TestAuthority.root()
    const [before, after] = [await root.issue({ uris: [ID] }), await next.issue({ uris: [ID] })]
    expect(await verify({ leaf: before, roots: [root, next] })).toBe(ID)
    expect(await verify({ leaf: after, roots: [root, next] })).toBe(ID)
    await expectRefused({ leaf: before, roots: [next] }, 'untrusted')
  })

  test('is judged anew although its signatures are remembered', async () => {
    const issuances = new Issuances(10)
    const leaf = await root.issue({ uris: [ID], until: 1 })
    expect(await verify({ leaf, roots: [root], issuances })).toBe(ID)
    expect(await verify({ leaf, roots: [root], issuances })).toBe(ID)
    await expectRefused({ leaf, roots: [root], issuances, at: 2 }, 'expired')
    await expectRefused({ leaf, roots: [], issuances }, 'untrusted')
  })
})

describe('§6.1.3: signature, validity and names', () => {
  test('nobody is trusted where there is no authority', async () => {
    await expectRefused({ leaf: await root.issue({ uris: [ID] }), roots: [] }, 'untrusted')
  })

  test('an authority of the same name with another key has not issued it', async () => {
    const impostor = await TestAuthority.root({ subject: root.subject })
    await expectRefused({ leaf: await impostor.issue({ uris: [ID] }), roots: [root] }, 'untrusted')
    const unnamed = await impostor.issue({ uris: [ID], withoutKeyIds: true })
    await expectRefused({ leaf: unnamed, roots: [root] }, 'untrusted')
  })

  test('a changed bit of what was signed is found', async () => {
    const leaf = await root.issue({ uris: [ID] })
    const forged = Buffer.from(leaf.der)
    const at = forged.indexOf('/agent')
    forged.write('/admin', at, 'latin1')
    await expectRefused({ leaf: { der: forged }, roots: [root] }, 'untrusted')
  })

  test('each certificate must be valid now: the leaf, an intermediate, the authority itself', async () => {
    await expectRefused({ leaf: await root.issue({ uris: [ID], until: -0.5 }), roots: [root] }, 'expired')
    await expectRefused({ leaf: await root.issue({ uris: [ID], from: 1 }), roots: [root] }, 'expired')
    const late = await root.intermediate({ until: -0.5 })
    await expectRefused({ leaf: await late.issue({ uris: [ID] }), through: [late], roots: [root] }, 'expired')
    const early = await root.intermediate({ from: 1 })
    await expectRefused({ leaf: await early.issue({ uris: [ID] }), through: [early], roots: [root] }, 'expired')
    const old = await TestAuthority.root({ from: -48, until: -1 })
    await expectRefused({ leaf: await old.issue({ uris: [ID] }), roots: [old] }, 'expired')
  })

  test('SHA-1, short RSA keys and keys of other kinds are not accepted, wherever they stand', async () => {
    const sha1 = await TestAuthority.root({ algorithm: 'sha1' })
    await expectRefused({ leaf: await sha1.issue({ uris: [ID] }), roots: [sha1] }, 'unacceptable', /algorithm/)
    const short = await TestAuthority.root({ algorithm: 'rsa1024' })
    await expectRefused({ leaf: await short.issue({ uris: [ID] }), roots: [short] }, 'unacceptable', /key/)
    await expectRefused({ leaf: await root.issue({ uris: [ID], algorithm: 'rsa1024' }), roots: [root] }, 'unacceptable')
  })
})

describe('§6.1.4: what an authority must be', () => {
  test('an issuer without cA is none, whatever else it may do', async () => {
    const leafAsIssuer = await root.intermediate({ ca: false })
    const without = await root.intermediate({ ca: null })
    for (const issuer of [leafAsIssuer, without]) {
      const leaf = await issuer.issue({ uris: [ID] })
      await expectRefused({ leaf, through: [issuer], roots: [root] }, 'unacceptable', /basicConstraints/)
      await expectRefused({ leaf, roots: [issuer] }, 'unacceptable', /basicConstraints/)
    }
  })

  test('keyCertSign is needed; a root that an operator chose may lack keyUsage, an intermediate may not', async () => {
    const wrong = await root.intermediate({ usages: ['digitalSignature'] })
    const none = await root.intermediate({ usages: null })
    for (const issuer of [wrong, none]) {
      const leaf = await issuer.issue({ uris: [ID] })
      await expectRefused({ leaf, through: [issuer], roots: [root] }, 'unacceptable', /keyUsage/)
    }
    const bare = await TestAuthority.root({ usages: null })
    expect(await verify({ leaf: await bare.issue({ uris: [ID] }), roots: [bare] })).toBe(ID)
    const mute = await TestAuthority.root({ usages: ['cRLSign'] })
    await expectRefused({ leaf: await mute.issue({ uris: [ID] }), roots: [mute] }, 'unacceptable', /keyUsage/)
  })

  test('pathLenConstraint is kept, of intermediates and of the authority', async () => {
    const none = await TestAuthority.root({ pathLength: 0 })
    const below = await none.intermediate()
    expect(await verify({ leaf: await none.issue({ uris: [ID] }), roots: [none] })).toBe(ID)
    await expectRefused(
      { leaf: await below.issue({ uris: [ID] }), through: [below], roots: [none] },
      'unacceptable',
      /long/,
    )
    const last = await root.intermediate({ pathLength: 0 })
    const more = await last.intermediate()
    await expectRefused(
      { leaf: await more.issue({ uris: [ID] }), through: [more, last], roots: [root] },
      'unacceptable',
      /long/,
    )
  })

  test('an authority for servers only vouches for no client', async () => {
    const servers = await root.intermediate({ purposes: ['1.3.6.1.5.5.7.3.1'] })
    const leaf = await servers.issue({ uris: [ID] })
    await expectRefused({ leaf, through: [servers], roots: [root] }, 'unacceptable', /extKeyUsage/)
  })

  test('a critical extension that is not understood refuses its certificate, one that is not critical does not', async () => {
    for (const oid of ['1.3.6.1.4.1.99999.1', POLICY_CONSTRAINTS]) {
      const extra = [{ oid, critical: true }]
      await expectRefused({ leaf: await root.issue({ uris: [ID], extra }), roots: [root] }, 'unacceptable', /critical/)
      const strange = await root.intermediate({ extra })
      const leaf = await strange.issue({ uris: [ID] })
      await expectRefused({ leaf, through: [strange], roots: [root] }, 'unacceptable', /critical/)
      const odd = await TestAuthority.root({ extra })
      await expectRefused({ leaf: await odd.issue({ uris: [ID] }), roots: [odd] }, 'unacceptable', /critical/)
    }
    const extra = [{ oid: '1.3.6.1.4.1.99999.1', critical: false }]
    expect(await verify({ leaf: await root.issue({ uris: [ID], extra }), roots: [root] })).toBe(ID)
  })
})

describe('§4.2.1.10: name constraints', () => {
  const through = async (
    constraints: Parameters<TestAuthority['intermediate']>[0] & object,
    uri = ID,
    dns: string[] = [],
  ) => {
    const authority = await plain.intermediate(constraints)
    const leaf = await authority.issue({ uris: [uri], dns })
    return { leaf, through: [authority], roots: [plain] }
  }
  const uri = (value: string) => [NAME.uri, value] as const
  const dns = (value: string) => [NAME.dns, value] as const

  test('a trust domain that is permitted, alone or among others, or as a subdomain', async () => {
    expect(await verify(await through({ constraints: { permitted: [uri('example.org')] } }))).toBe(ID)
    expect(await verify(await through({ constraints: { permitted: [uri('other.org'), uri('EXAMPLE.org')] } }))).toBe(ID)
    const below = 'spiffe://prod.example.org/agent'
    expect(await verify(await through({ constraints: { permitted: [uri('.example.org')] } }, below))).toBe(below)
  })

  test('one that is not permitted, or that is excluded', async () => {
    const refused = (shape: Parameters<TestAuthority['intermediate']>[0] & object) =>
      through(shape).then((presented) => expectRefused(presented, 'unacceptable', /nameConstraints/))
    await refused({ constraints: { permitted: [uri('other.org')] } })
    await refused({ constraints: { permitted: [uri('.example.org')] } })
    await refused({ constraints: { permitted: [uri('le.org')] } })
    await refused({ constraints: { excluded: [uri('example.org')] } })
    await refused({ constraints: { permitted: [uri('example.org')], excluded: [uri('example.org')] } })
    await refused({ constraints: { excluded: [uri('')] } })
  })

  test('they hold for whatever is below, not only for the next, and from the authority itself', async () => {
    const upper = await root.intermediate({ constraints: { permitted: [uri('other.org')] } })
    const lower = await upper.intermediate()
    const leaf = await lower.issue({ uris: [ID] })
    await expectRefused({ leaf, through: [lower, upper], roots: [root] }, 'unacceptable', /nameConstraints/)
    const bound = await TestAuthority.root({ constraints: { excluded: [uri('example.org')] } })
    await expectRefused({ leaf: await bound.issue({ uris: [ID] }), roots: [bound] }, 'unacceptable', /nameConstraints/)
  })

  test('DNS names beside the SPIFFE ID are judged too', async () => {
    const constraints = { permitted: [dns('corp.example')] }
    expect(await verify(await through({ constraints }))).toBe(ID)
    expect(await verify(await through({ constraints }, ID, ['a.corp.example']))).toBe(ID)
    for (const name of ['evil.example', 'notcorp.example']) {
      await expectRefused(await through({ constraints }, ID, [name]), 'unacceptable', /nameConstraints/)
    }
  })

  test('a form that is not checked refuses whoever has a name of that form, and nobody else', async () => {
    expect(await verify(await through({ constraints: { excluded: [[NAME.email, 'example.org']] } }))).toBe(ID)
    // Every subject here has a distinguished name.
    const directory = { constraints: { excluded: [[NAME.directory, '']] as const } }
    await expectRefused(await through(directory), 'unacceptable', /nameConstraints/)
  })
})

describe('§6.1: where a path may end, and how long it may be', () => {
  test('a self-signed leaf is never its own root, not even where it is listed as one', async () => {
    const leaf = await selfSigned({ uris: [ID] })
    await expectRefused({ leaf, roots: [root] }, 'untrusted')
    await expectRefused({ leaf, roots: [leaf] }, 'untrusted')
  })

  test('a root that was only presented is no authority', async () => {
    const own = await TestAuthority.root()
    await expectRefused({ leaf: await own.issue({ uris: [ID] }), through: [own], roots: [root] }, 'untrusted')
  })

  test('authorities that have signed each other lead nowhere', async () => {
    const [a, b] = [await TestAuthority.root({ subject: 'CN=A' }), await TestAuthority.root({ subject: 'CN=B' })]
    const aByB = await b.intermediate({ subject: 'CN=A', keyOf: a })
    const bByA = await a.intermediate({ subject: 'CN=B', keyOf: b })
    await expectRefused({ leaf: await a.issue({ uris: [ID] }), through: [aByB, bByA], roots: [root] }, 'untrusted')
  })

  test('more certificates than a path can have are refused unread', async () => {
    const five = Array.from({ length: 5 }, () => root)
    await expectRefused(
      { leaf: await root.issue({ uris: [ID] }), through: five, roots: [root] },
      'malformed',
      /more than/,
    )
  })

  test('an authority of another trust domain vouches for nobody here, even below an authority of this one', async () => {
    const foreign = await root.intermediate({ uris: ['spiffe://other.org'] })
    const leaf = await foreign.issue({ uris: [ID] })
    await expectRefused({ leaf, through: [foreign], roots: [root] }, 'unacceptable', /another trust domain/)
  })

  test('a thousand authorities of one name cost a dozen signatures, then nobody is believed', async () => {
    const name = 'CN=one of many'
    const some = await Promise.all(
      Array.from({ length: 40 }, () => TestAuthority.root({ subject: name, withoutKeyIds: true })),
    )
    const stranger = await TestAuthority.root({ subject: name, withoutKeyIds: true })
    const leaf = await stranger.issue({ uris: [ID], withoutKeyIds: true })
    const many = Array.from({ length: 1000 }, (_, index) => some[index % some.length] ?? root)
    let signatures = 0
    class Counted extends Issuances {
      override isIssuedBy(...both: Parameters<Issuances['isIssuedBy']>) {
        signatures += 1
        return super.isIssuedBy(...both)
      }
    }
    await expectRefused({ leaf, roots: many, issuances: new Counted(10) }, 'untrusted', /signatures/)
    expect(signatures).toBe(X509_SIGNATURES_MAX)
  })
})
