/**
 * The order in which files are run: those that take longest begin first, so that at the end no processor waits for the last of them.
 * Vitest's own order, by size where nothing is known of an earlier run, has some of them last: they are a few lines that call others.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Longer than half a minute each, the longest first. */
const LONGEST = [
  'faults/kill-steps-embedded',
  'faults/kill-steps-redis',
  'faults/redis-failover',
  'e2e/store-down',
  'e2e/key-machines',
  'contract/embedded-pair',
  'e2e/cli-start',
  'contract/redis-cluster',
  'contract/redis-sentinel',
  'contract/embedded-store',
  'contract/redis-store',
  'e2e/audit-export',
]

const place = ({ moduleId }: TestSpecification): number => {
  const found = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return found < 0 ? LONGEST.length : found
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const group = ({ project }: TestSpecification) => project.config.sequence.groupOrder
    return (await super.sort(files)).toSorted((a, b) => group(a) - group(b) || place(a) - place(b))
  }
}
