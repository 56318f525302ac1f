/** A scanned server beside the entry that a registry document has of it, and the list that was kept when that was pinned. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Rejection } from '../../kernel/rejection.ts'
import { canonicalResource } from '../../protocol/resource.ts'
import { parseYamlText } from '../../registry/strict-document.ts'
import { UsageError } from '../failures.ts'
import { arrayOf, decodeObject, type JsonObject, jsonObject } from '../json-fields.ts'
import { readText } from '../named-document.ts'
import { entries, objectOf } from '../registry/registry-edit.ts'
import { printable } from '../terminal.ts'
import type { PinnedTool } from './tool-drift.ts'

export interface Registered {
  readonly id: string
  /** Which of the document's resources. */
  readonly at: number
  readonly tools: Readonly<Record<string, PinnedTool>>
  readonly pinned: string | undefined
}

/**
 * The entry of this URL, or of this id where the server is reached at another.
 * @throws ConfigurationError, UsageError where there is no resource of that id
 */
export function registeredIn(text: string, name: string, url: string, id: string | undefined): Registered | undefined {
  const resources = entries(parseYamlText(text, name), 'resources').map(objectOf)
  const wanted = canonical(url)
  const at = resources.findIndex((one) => (id === undefined ? canonical(one['url']) === wanted : one['id'] === id))
  const entry = resources[at]
  if (entry === undefined) return undefined
  const { manifest_digest: pinned } = entry
  return {
    id: String(entry['id']),
    at,
    tools: objectOf(entry['tools']) as Registered['tools'],
    pinned: typeof pinned === 'string' ? pinned : undefined,
  }
}

function canonical(url: unknown): string | undefined {
  try {
    return typeof url === 'string' ? canonicalResource(url) : undefined
  } catch (fault) {
    if (fault instanceof Rejection) return undefined
    throw fault
  }
}

/** Beside the registry file: what the server listed when it was pinned. */
export function listPath(registryFile: string, id: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) throw new UsageError(`${printable(id)} is not an id of a resource`)
  return join(dirname(registryFile), `${id}.tools.json`)
}

/** None where it was not kept. It is believed no further than the registry's digests bear it out. @throws UsageError */
export function keptList(registryFile: string, id: string): readonly JsonObject[] {
  const path = listPath(registryFile, id)
  if (!existsSync(path)) return []
  return arrayOf(decodeObject(readText(path))?.['tools']).map(jsonObject)
}
