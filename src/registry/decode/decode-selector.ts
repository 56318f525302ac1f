/** Which tools an entry reaches, and with which arguments. Constraints are decoded by the part that knows them. */
import type { ToolConstraints } from '../../authority/authority.ts'
import { parseToolConstraints } from '../../authority/constraints.ts'
import { parseProse } from '../../authority/strict-object.ts'
import { PURPOSE_CHARS_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { ManifestEntry, ToolSelector } from '../../model/resource.ts'
import type { SelectorEntry } from '../entries/entry-fields.ts'

/** Absent: the tool is not constrained by this rule. */
export function decodeConstraints(value: unknown, path: string, problems: string[]): ToolConstraints {
  const unconstrained: ToolConstraints = new Map()
  return value === undefined ? unconstrained : told(() => parseToolConstraints(value, path), unconstrained, problems)
}

/** A standing intent's purpose. */
export function decodePurpose(text: string, path: string, problems: string[]): string {
  return told(() => parseProse(text, path, PURPOSE_CHARS_MAX), text, problems)
}

/** The parsers of `authority/` begin their messages with the path they were given, extended to the member that is wrong. */
function told<T>(parse: () => T, meanwhile: T, problems: string[]): T {
  try {
    return parse()
  } catch (fault) {
    if (!(fault instanceof Rejection)) throw fault
    problems.push(fault.message)
    return meanwhile
  }
}

/** Of an agent's entry or a service's, at `path`. */
export function decodeManifest(
  entries: readonly (SelectorEntry & { readonly constraints?: unknown })[],
  path: string,
  problems: string[],
): readonly ManifestEntry[] {
  return entries.map(({ constraints, ...selector }, index) => ({
    selector: decodeSelector(selector),
    constraints: decodeConstraints(constraints, `${path}.manifest[${index}].constraints`, problems),
  }))
}

export function decodeSelector(entry: SelectorEntry): ToolSelector {
  const { project, server, tool, category, container } = entry
  return {
    ...(project === undefined ? {} : { project }),
    ...(server === undefined ? {} : { server }),
    ...(tool === undefined ? {} : { tool }),
    ...(category === undefined ? {} : { category }),
    ...(container === undefined ? {} : { container }),
  }
}
