/**
 * The sections of a policy document as objects that are governed one by one: what names one, and what it takes to change it.
 * Whoever says who vouches for whom says who is an admin, too: those sections take another permission than policy does.
 */
import type { Permission } from '../model/admin-role.ts'
import type { DecodedDocument } from './entries/registry-document.ts'

export type SectionName = keyof DecodedDocument
/** An entry as it was written. */
export type Written = Readonly<Record<string, unknown>>

interface Section {
  /** To change it. */
  readonly permission: Permission
  /** Members that name an entry, joined by a colon. */
  readonly named: readonly string[]
  readonly hasState: boolean
}

const POLICY = { permission: 'policy', hasState: false } as const
const SECURITY = { permission: 'security', hasState: false } as const

/** A section without a line here does not compile. */
export const SECTIONS: Readonly<Record<SectionName, Section>> = {
  issuers: { ...SECURITY, named: ['slug'] },
  workload_issuers: { ...SECURITY, named: ['slug'] },
  trust_domains: { ...SECURITY, named: ['name'] },
  users: { ...SECURITY, named: ['issuer', 'sub'] },
  roles: { ...POLICY, named: ['name'] },
  authorization_servers: { ...SECURITY, named: ['slug'] },
  services: { ...POLICY, named: ['client_id'], hasState: true },
  projects: { ...POLICY, named: ['id'] },
  resources: { ...POLICY, named: ['id'], hasState: true },
  agents: { ...POLICY, named: ['client_id'], hasState: true },
  grants: { ...POLICY, named: ['id'] },
}

export const SECTION_NAMES = Object.keys(SECTIONS) as readonly SectionName[]

export function entriesOf(document: unknown, section: SectionName): readonly Written[] {
  const listed = isWritten(document) ? document[section] : undefined
  return Array.isArray(listed) ? listed.filter(isWritten) : []
}

/** Two entries of a section with the same name are never published. */
export function nameOf(section: SectionName, entry: Written): string {
  return SECTIONS[section].named.map((member) => String(entry[member] ?? '')).join(':')
}

export function isWritten(value: unknown): value is Written {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
