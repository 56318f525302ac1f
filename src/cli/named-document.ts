/** Files that the command line names and that may be large: policy documents, certificates, lists of tools. */
import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { codeOf } from '../kernel/fault.ts'
import { parseYamlText } from '../registry/strict-document.ts'
import { UsageError } from './failures.ts'

/** @throws UsageError */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (fault) {
    throw new UsageError(`${resolve(path)} cannot be read (${codeOf(fault)})`)
  }
}

/** YAML or JSON, not yet trusted, under the name that problems in it are reported by. @throws UsageError, ConfigurationError */
export function readPolicyFile(path: string): { readonly name: string; readonly document: unknown } {
  const name = basename(path)
  return { name, document: parseYamlText(readText(path), name) }
}
