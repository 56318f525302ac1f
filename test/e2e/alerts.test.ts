/**
 * Alerts as Prometheus itself evaluates them (`promtool test rules`, where it is installed): each rings for what it is for, at the
 * first event where one is enough, and is quiet while all is as it should be.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { scratchDirectory } from '../support/scratch.ts'

const RULES = resolve(import.meta.dirname, '../../deploy/prometheus/errand-rules.yaml')
const hasPromtool = spawnSync('promtool', ['--version']).status === 0
if (!hasPromtool) console.warn('SKIPPED: promtool is not here, so nobody has seen an alert ring')

interface Rule {
  readonly alert: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}
const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
)

/** Samples by series, one each 15 s, as promtool writes them: `start+step x times`, `_`: none. */
type Samples = Readonly<Record<string, string>>
interface Case {
  readonly bad: Samples
  /** Of the alert that rings. */
  readonly labels: Readonly<Record<string, string>>
  readonly good: Samples
  /** When it is looked (30m). */
  readonly at?: string
}

const a = { instance: 'a' }
/** Never, and once in the middle of it all. */
const NEVER = '0x400'
const ONCE = '0x116 1x283'

const CASES: Readonly<Record<string, Case>> = {
  ErrandNotReady: {
    bad: {
      'errand_ready{instance="a",check="store"}': '1x110 0x290',
      'errand_ready{instance="b",check="store"}': '1x400',
    },
    labels: { ...a, check: 'store' },
    good: { 'errand_ready{instance="a",check="store"}': '1x118 0x0 1x280' },
  },
  ErrandStoreFails: {
    bad: { 'errand_store_failures_total{instance="a",operation="commit"}': '0+30x400' },
    labels: a,
    good: { 'errand_store_failures_total{instance="a",operation="commit"}': '0+1x400' },
  },
  ErrandRevocationsLate: {
    bad: { 'errand_revocations_age_seconds{instance="a"}': '0.1x100 3x300' },
    labels: a,
    good: { 'errand_revocations_age_seconds{instance="a"}': '0.4x400' },
  },
  ErrandClockOff: {
    bad: { 'errand_store_clock_difference_seconds{instance="a"}': '0.8x400' },
    labels: a,
    good: { 'errand_store_clock_difference_seconds{instance="a"}': '0.02x400' },
  },
  ErrandFaults: {
    bad: { 'errand_exchanges_total{instance="a",flow="open",outcome="server_error"}': ONCE },
    labels: a,
    good: {
      'errand_exchanges_total{instance="a",flow="open",outcome="server_error"}': NEVER,
      'errand_exchanges_total{instance="a",flow="open",outcome="granted"}': '0+100x400',
    },
  },
  ErrandSlow: {
    bad: {
      'errand_exchange_seconds_bucket{instance="a",le="0.25"}': '0+80x400',
      'errand_exchange_seconds_bucket{instance="a",le="1"}': '0+100x400',
      'errand_exchange_seconds_bucket{instance="a",le="+Inf"}': '0+100x400',
    },
    labels: a,
    good: {
      'errand_exchange_seconds_bucket{instance="a",le="0.25"}': '0+100x400',
      'errand_exchange_seconds_bucket{instance="a",le="1"}': '0+100x400',
      'errand_exchange_seconds_bucket{instance="a",le="+Inf"}': '0+100x400',
    },
  },
  ErrandStrangersFlood: {
    bad: { 'errand_strangers_refused_total{instance="a",reason="client_unknown"}': '0+3000x400' },
    labels: a,
    good: { 'errand_strangers_refused_total{instance="a",reason="client_unknown"}': '0+30x400' },
  },
  ErrandSessionBraked: {
    bad: { 'errand_sessions_braked_total{instance="a",state="halted"}': ONCE },
    labels: { ...a, state: 'halted' },
    good: { 'errand_sessions_braked_total{instance="a",state="halted"}': '7x400' },
  },
  ErrandKeysUnread: {
    bad: { 'errand_published_keys_failures_total{instance="a",of="issuer"}': '0+1x400' },
    labels: { ...a, of: 'issuer' },
    good: { 'errand_published_keys_failures_total{instance="a",of="issuer"}': ONCE },
  },
  ErrandAuditFills: {
    bad: { 'errand_audit_outbox_ratio{instance="a"}': '0.9x400' },
    labels: a,
    good: {
      'errand_audit_outbox_ratio{instance="a"}': '0.1x400',
      'errand_audit_deferred_records{instance="a"}': NEVER,
    },
  },
  ErrandCertificateEnds: {
    bad: { 'errand_certificate_expires_timestamp_seconds{instance="a"}': `${13 * 86_400}x400` },
    labels: a,
    good: { 'errand_certificate_expires_timestamp_seconds{instance="a"}': `${15 * 86_400}x400` },
  },
  ErrandKeyOld: {
    bad: { 'errand_key_age_seconds{instance="a",class="access",kid="k"}': `${91 * 86_400}x400` },
    labels: { ...a, class: 'access' },
    good: { 'errand_key_age_seconds{instance="a",class="access",kid="k"}': `${89 * 86_400}x400` },
  },
  ErrandEventLoopBusy: {
    bad: { 'nodejs_eventloop_lag_p99_seconds{instance="a"}': '0.2x400' },
    labels: a,
    good: { 'nodejs_eventloop_lag_p99_seconds{instance="a"}': '0.02x400' },
  },
  ErrandRefusalsRise: {
    // Also where an hour ago nobody counted.
    bad: { 'errand_refusals_total{instance="a",reason="grant_missing"}': '_x300 0+30x100' },
    labels: { reason: 'grant_missing' },
    good: { 'errand_refusals_total{instance="a",reason="grant_missing"}': '0+30x400' },
    at: '95m',
  },
  ErrandCallsUnknown: {
    bad: { 'errand_calls_total{instance="a",became="unknown"}': '0+1x400' },
    labels: a,
    good: { 'errand_calls_total{instance="a",became="unknown"}': ONCE },
    at: '45m',
  },
  ErrandFollowersDropped: {
    bad: { 'errand_feed_dropped_total{instance="a"}': '0+1x400' },
    labels: a,
    good: { 'errand_feed_dropped_total{instance="a"}': ONCE },
  },
  ErrandSpansDropped: {
    bad: { 'errand_spans_dropped_total{instance="a",why="full"}': '0+100x400' },
    labels: { ...a, why: 'full' },
    good: { 'errand_spans_dropped_total{instance="a",why="full"}': '0+1x400' },
    at: '45m',
  },
  ErrandPoliciesDiffer: {
    bad: {
      'errand_build_info{instance="a",policy="p"}': '1x400',
      'errand_build_info{instance="b",policy="q"}': '1x400',
    },
    labels: {},
    good: {
      'errand_build_info{instance="a",policy="p"}': '1x400',
      'errand_build_info{instance="b",policy="p"}': '1x400',
    },
  },
  ErrandAuditLogBroken: {
    bad: { 'errand_audit_sequencing_failures_total{instance="a",reason="forked"}': ONCE },
    labels: { ...a, reason: 'forked' },
    good: { 'errand_audit_sequencing_failures_total{instance="a",reason="unavailable"}': '0+1x400' },
  },
  ErrandAuditBehind: {
    // As long as one broker signs, the log is as it should be.
    bad: { 'errand_audit_checkpoint_age_seconds{instance="a"}': '0+15x400' },
    labels: {},
    good: {
      'errand_audit_checkpoint_age_seconds{instance="a"}': '0+15x400',
      'errand_audit_checkpoint_age_seconds{instance="b"}': '1x400',
    },
  },
  ErrandWitnessSilent: {
    bad: { 'errand_audit_witness_age_seconds{instance="a",witness="w"}': '400x400' },
    labels: { witness: 'w' },
    good: { 'errand_audit_witness_age_seconds{instance="a",witness="w"}': '2x400' },
  },
  ErrandExportBehind: {
    bad: { 'errand_audit_export_behind_seconds{instance="a",sink="siem"}': '0+15x400' },
    labels: { sink: 'siem' },
    good: { 'errand_audit_export_behind_seconds{instance="a",sink="siem"}': '3x400' },
  },
  ErrandExportLost: {
    bad: { 'errand_audit_export_lost_total{instance="a",sink="siem",why="pruned"}': ONCE },
    labels: { sink: 'siem', why: 'pruned' },
    good: { 'errand_audit_export_lost_total{instance="a",sink="siem",why="pruned"}': NEVER },
  },
  ErrandUnrecorded: {
    bad: { 'errand_requests_total{instance="a",account="unrecorded"}': ONCE },
    labels: a,
    good: { 'errand_requests_total{instance="a",account="unrecorded"}': NEVER },
    at: '32m',
  },
  ErrandPruningHeld: {
    bad: { 'errand_audit_pruning_failures_total{instance="a",reason="text_missing"}': ONCE },
    labels: { reason: 'text_missing' },
    good: { 'errand_audit_pruning_failures_total{instance="a",reason="store"}': '0+1x400' },
  },
  ErrandCaptureFails: {
    bad: { 'errand_refusals_total{instance="a",reason="capture_unavailable"}': ONCE },
    labels: a,
    good: { 'errand_refusals_total{instance="a",reason="capture_unavailable"}': NEVER },
    at: '32m',
  },
}

test('every alert has a case', () => {
  expect(Object.keys(CASES).sort()).toEqual(rules.map(({ alert }) => alert).sort())
})

test.skipIf(!hasPromtool)('each rings for what it is for, and is quiet otherwise', () => {
  const tests = rules.flatMap((rule) => {
    const { bad, good, labels, at = '30m' } = CASES[rule.alert] ?? { bad: {}, good: {}, labels: {} }
    const rung = { exp_labels: { ...labels, ...rule.labels }, exp_annotations: filledIn(rule.annotations, labels) }
    return [
      scene(`${rule.alert} rings`, bad, { eval_time: at, alertname: rule.alert, exp_alerts: [rung] }),
      scene(`${rule.alert} is quiet`, good, { eval_time: at, alertname: rule.alert, exp_alerts: [] }),
    ]
  })
  const directory = scratchDirectory('errand-alerts-')
  const file = join(directory, 'alerts.json')
  writeFileSync(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: '30s', tests }))
  try {
    const { stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' })
    expect(stdout + stderr).toMatch(/SUCCESS\s*$/)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

function scene(name: string, samples: Samples, alertRuleTest: unknown) {
  const series = Object.entries(samples).map(([named, values]) => ({ series: named, values }))
  return { name, interval: '15s', input_series: series, alert_rule_test: [alertRuleTest] }
}

function filledIn(texts: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>) {
  const filled = (text: string) => text.replaceAll(/{{ \$labels\.(\w+) }}/g, (_all, name: string) => labels[name] ?? '')
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, filled(text)]))
}
