/**
 * Name constraints (RFC 5280 §4.2.1.10, §6.1.4 (g), (b) and (c)): which names an authority may vouch for, and which never.
 *
 * Checked: `uniformResourceIdentifier` (for SPIFFE the host is the trust domain) and `dNSName`. A constraint of any other form
 * refuses a certificate that has a name of that form, as the RFC demands of those who do not check it.
 */
import type { Certificate } from './certificate.ts'
import type { GeneralName, NameConstraints } from './extensions.ts'

/** DER of a name without any part. */
const EMPTY_NAME = '3000'
/** Context tag of rfc822Name, which subjects may also carry as an attribute. */
const DIRECTORY_TAG = 0xa4

/** Whether this certificate, below the authority that constrains, keeps to what that may vouch for. */
export function keepsTo({ permitted, excluded }: NameConstraints, certificate: Certificate): boolean {
  return namesOf(certificate).every((name) => {
    const of = (constraints: readonly GeneralName[]) => constraints.filter(({ tag }) => tag === name.tag)
    const [allowing, forbidding] = [of(permitted), of(excluded)]
    if (allowing.length === 0 && forbidding.length === 0) return true
    if (name.form !== 'dns' && name.form !== 'uri') return false
    const host = name.form === 'dns' ? name.value.toLowerCase() : hostOf(name.value)
    // A URI without a host, or with an address for one, cannot be judged (§4.2.1.10): refused.
    if (host === undefined) return false
    const matches = ({ value }: GeneralName) => isWithin(host, value.toLowerCase(), name.form === 'dns')
    return !forbidding.some(matches) && (allowing.length === 0 || allowing.some(matches))
  })
}

function namesOf({ subject, alternativeNames }: Certificate): readonly GeneralName[] {
  if (subject === EMPTY_NAME) return alternativeNames
  return [...alternativeNames, { form: 'directory', tag: DIRECTORY_TAG, value: '' }]
}

/**
 * Of a URI: the host itself, or, behind a leading dot, any name below it. Of a DNS name: the name and all below it. Forbidden
 * wildcards would need more; nobody authenticates here by a DNS name.
 */
function isWithin(host: string, constraint: string, isDns: boolean): boolean {
  if (constraint === '') return true
  if (constraint.startsWith('.')) return host.endsWith(constraint) && host.length > constraint.length
  return host === constraint || (isDns && host.endsWith(`.${constraint}`))
}

/** The reg-name of a URI's authority, without user and port. */
function hostOf(uri: string): string | undefined {
  const [, authority] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri) ?? []
  const host = authority?.replace(/^.*@/, '').replace(/:\d*$/, '').toLowerCase()
  if (host === undefined || !/^[a-z0-9._-]+$/.test(host) || /^[\d.]+$/.test(host)) return undefined
  return host
}
