/**
 * Whether one certificate was issued by another: names, key identifiers and signature, by the library's chain builder, and by
 * nothing but it: it finds no path here, because it takes the first issuer that fits, valid or not.
 *
 * A signature that has verified is remembered: which certificates they were does not change. All else is judged anew each time.
 */
import type { Certificate } from './certificate.ts'

/** Some two hundred modules, which only whoever is shown certificates needs. */
async function library() {
  await import('./reflect-metadata.ts')
  return import('@peculiar/x509')
}

export class Issuances {
  readonly #most: number
  /** Thumbprints of issued and issuer, the longest unused first. */
  readonly #verified = new Set<string>()

  /** @param most signatures remembered */
  constructor(most: number) {
    this.#most = most
  }

  /** Reads the library now, so that no request has to wait for it. */
  async prepare(): Promise<void> {
    await library()
  }

  /** Whether asking costs no mathematics. */
  isKnown(certificate: Certificate, issuer: Certificate): boolean {
    return this.#verified.has(nameOf(certificate, issuer))
  }

  /** Nothing is remembered by it: whoever can vouch for the path's end is not yet known. */
  async isIssuedBy(certificate: Certificate, issuer: Certificate): Promise<boolean> {
    if (this.isKnown(certificate, issuer)) return true
    const { X509Certificate, X509ChainBuilder } = await library()
    const builder = new X509ChainBuilder({ certificates: [new X509Certificate(issuer.der)] })
    try {
      const chain = await builder.build(new X509Certificate(certificate.der))
      return chain.length > 1
    } catch {
      // What the library cannot read, or a circle: no issuer either way.
      return false
    }
  }

  /** To be told only of a whole path that ends in an authority configured here, so that strangers push nothing out. */
  remember(path: readonly Certificate[]): void {
    for (const [index, issuer] of path.entries()) {
      const certificate = path[index - 1]
      if (certificate === undefined) continue
      const name = nameOf(certificate, issuer)
      this.#verified.delete(name)
      this.#verified.add(name)
    }
    for (const oldest of this.#verified) {
      if (this.#verified.size <= this.#most) return
      this.#verified.delete(oldest)
    }
  }
}

function nameOf(certificate: Certificate, issuer: Certificate): string {
  return `${certificate.thumbprint} ${issuer.thumbprint}`
}
