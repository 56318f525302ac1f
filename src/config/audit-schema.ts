/** What the audit's records need, what is captured beside them, whom they are sent to, who may read their log and who co-signs it. */
import { z } from 'zod'
import { ALARMS } from '../audit/export/alarms.ts'
import type { SinkSettings } from '../audit/export/start-export.ts'
import type { RetentionSettings } from '../audit/retention/old-bundles.ts'
import { KEEP_DAYS_DEFAULT, KEEP_DAYS_MAX, KEEP_RECORDS_MIN, WITNESSES_MAX } from '../kernel/log-limits.ts'
import { EXPORT_BATCH_DEFAULT, EXPORT_BATCH_MAX, EXPORT_SINKS_MAX } from '../kernel/telemetry-limits.ts'
import { CAPTURE_MODES } from '../model/captured.ts'
import { EVENTS } from '../model/event-catalogue.ts'
import type { BrokerSettings } from '../model/settings.ts'
import { url } from '../registry/entries/entry-fields.ts'
import { strictObject } from '../registry/strict-document.ts'
import { NoteError, parseVkey } from '../tlog/note-keys.ts'

const path = z.string().min(1)
const OUTCOMES = ['granted', 'refused', 'unfinished', 'undone'] as const
/** One that matches nothing there is would send nothing, and look as if it did. */
const pattern = z.string().refine(isPatternOfEvents, 'must be the name of an event, or the beginning of some and "*"')

function isPatternOfEvents(text: string): boolean {
  const names: readonly string[] = [...Object.keys(EVENTS), ...ALARMS]
  return text.endsWith('*') ? names.some((name) => name.startsWith(text.slice(0, -1))) : names.includes(text)
}

/** What people and tools have said is nobody's to keep by accident: each kind is a decision. */
const capturing = z.enum(CAPTURE_MODES).default('off')

const common = {
  name: z.string().regex(/^[a-z0-9-]{1,32}$/, 'lower-case letters, digits and "-", at most 32'),
  url,
  headers_file: path.optional(),
  ca_file: path.optional(),
  events: z.array(pattern).min(1).optional(),
  outcomes: z.array(z.enum(OUTCOMES)).min(1).optional(),
  batch: z.int().min(1).max(EXPORT_BATCH_MAX).default(EXPORT_BATCH_DEFAULT),
  begins: z.enum(['beginning', 'now']).default('beginning'),
}
const sink = z.discriminatedUnion('type', [
  strictObject({ type: z.literal('webhook'), ...common, secret_file: path }),
  strictObject({ type: z.literal('otlp'), ...common }),
])

const haveNames = (sinks: readonly { readonly name: string }[]) =>
  new Set(sinks.map(({ name }) => name)).size === sinks.length
const witness = strictObject({
  url,
  key: z.string().transform((text, context) => {
    try {
      const key = parseVkey(text)
      if (key.kind === 'witness') return key
    } catch (error) {
      if (!(error instanceof NoteError)) throw error
    }
    context.addIssue({ code: 'custom', message: 'must be the vkey of a witness, as errand witness prints it' })
    return z.NEVER
  }),
})

export const audit = strictObject({
  keep_days: z.int().min(1).max(KEEP_DAYS_MAX).default(KEEP_DAYS_DEFAULT),
  keep_records: z.int().min(KEEP_RECORDS_MIN).optional(),
  require_correlation: z.boolean().default(false),
  capture: strictObject({
    prompts: capturing,
    arguments: capturing,
    responses: capturing,
    traces: capturing,
  }).prefault({}),
  export: z
    .array(sink)
    .max(EXPORT_SINKS_MAX)
    .refine(haveNames, 'each sink needs a name of its own: how far it has got is kept by it')
    .default([]),
  public_log: z.boolean().default(false),
  witness: z.array(witness).max(WITNESSES_MAX).default([]),
}).prefault({})

export function recordSettingsOf({
  capture: { prompts, responses, traces, ...same },
  require_correlation: requireCorrelation,
  public_log: publicLog,
}: z.output<typeof audit>): Pick<BrokerSettings, 'capture' | 'requireCorrelation' | 'publicLog'> {
  const capture = Object.freeze({ prompt: prompts, arguments: same.arguments, response: responses, trace: traces })
  return { capture, requireCorrelation, publicLog }
}

const DAY_MS = 86_400_000

export function retentionOf(given: Pick<z.output<typeof audit>, 'keep_days' | 'keep_records'>): RetentionSettings {
  return Object.freeze({ keepMs: given.keep_days * DAY_MS, keepRecords: given.keep_records })
}

export function sinksOf(
  { export: sinks }: z.output<typeof audit>,
  absolute: (path: string) => string,
): readonly SinkSettings[] {
  const file = (path: string | undefined) => (path === undefined ? undefined : absolute(path))
  return sinks.map((given) => {
    const { name, url, events, outcomes, batch: batchMax, begins, headers_file, ca_file } = given
    const common = {
      name,
      url,
      events,
      outcomes,
      batchMax,
      begins,
      headersFile: file(headers_file),
      caFile: file(ca_file),
    }
    if (given.type === 'otlp') return Object.freeze({ type: given.type, ...common })
    return Object.freeze({ type: given.type, ...common, secretFile: absolute(given.secret_file) })
  })
}
