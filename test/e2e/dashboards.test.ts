/**
 * What operators are handed to look at: every metric and label that the dashboard and the alert rules name exists in
 * the registry of a running broker, every alert has its section of the runbook, and what Prometheus would not parse is found.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { REASONS } from '../../src/kernel/rejection.ts'
import { startWorld, type World } from '../support/world.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const RULES = 'deploy/prometheus/errand-rules.yaml'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly action: string }
}
const rules = (parse(read(RULES)) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules)

interface Panel {
  readonly title: string
  readonly type: string
  readonly description?: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}
const dashboard = JSON.parse(read('deploy/grafana/errand.json')) as {
  panels: Panel[]
  templating: { list: { query: string | { query: string } }[] }
}
const drawn = dashboard.panels.filter(({ type }) => type !== 'row')

/** What Prometheus adds by itself. */
const SCRAPED = ['instance', 'job', 'le']

/** Nobody listens there. */
const SINK = {
  type: 'otlp',
  name: 'siem',
  url: 'http://127.0.0.1:9',
  headersFile: undefined,
  caFile: undefined,
  events: undefined,
  outcomes: undefined,
  batchMax: 100,
  begins: 'now',
} as const

let world: World
/** What is read of a broker that nothing has happened to. */
let atStart: readonly string[]
/** Labels by the name of each series there can be. */
const series = new Map<string, ReadonlySet<string>>()
beforeAll(async () => {
  world = await startWorld({
    metrics: { host: '127.0.0.1', port: 0, token: undefined },
    config: { auditExport: [SINK] },
  })
  const text = (await world.broker.metrics?.text()) ?? ''
  atStart = text.split('\n')
  const types = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)]
  for (const metric of world.broker.metrics?.registry.getMetricsAsArray() ?? []) {
    const { name, labelNames } = metric as unknown as { name: string; labelNames: readonly string[] }
    const [, full = name, type] = types.find(([, one]) => one === name || one === `${name}_total`) ?? []
    const labels = new Set([...labelNames, ...SCRAPED])
    const names = type === 'histogram' ? ['_bucket', '_count', '_sum'].map((end) => full + end) : [full]
    for (const one of names) series.set(one, labels)
  }
})
afterAll(() => world.close())

const METRIC = /\b(?:errand|nodejs|process)_\w+/g

/** Each metric of an expression with the labels that it is selected by. */
function selectors(expr: string): readonly { name: string; labels: readonly string[] }[] {
  return [...expr.matchAll(/\b((?:errand|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', inside = '']) => ({
    name,
    labels: [...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  }))
}

const grouped = (expr: string): readonly string[] =>
  [...expr.matchAll(/\b(?:by|without)\s*\(([^)]*)\)/g)].flatMap(([, names = '']) =>
    names.split(',').map((one) => one.trim()),
  )

const templated = (text: string): readonly string[] =>
  [...text.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label = '']) => label)

/** What is wrong with an expression: metrics and labels that do not exist, brackets that do not close. */
function problems(expr: string, shown: string): readonly string[] {
  const found: string[] = []
  const named = selectors(expr)
  if (named.length === 0) found.push('names no metric')
  const known = new Set<string>()
  for (const { name, labels } of named) {
    const has = series.get(name)
    if (has === undefined) found.push(`no metric ${name}`)
    for (const label of labels) if (has?.has(label) !== true) found.push(`${name} has no label ${label}`)
    for (const label of has ?? []) known.add(label)
  }
  for (const label of grouped(expr)) if (!known.has(label)) found.push(`grouped by ${label}, which nothing there has`)
  for (const label of templated(shown))
    if (!grouped(expr).includes(label)) found.push(`shows ${label}, which is not left`)
  for (const [open, close] of ['()', '{}', '[]']) {
    if (expr.split(open ?? '').length !== expr.split(close ?? '').length) found.push(`${open} without ${close}`)
  }
  for (const [, reason = ''] of expr.matchAll(/(?:outcome|reason)="(\w+)"/g)) {
    const outcomes: readonly string[] = [...REASONS, 'issued', 'granted', 'server_error']
    if (!outcomes.includes(reason)) found.push(`no outcome ${reason}`)
  }
  return found
}

test('what is wrong with an expression is found', () => {
  expect(problems('sum by (flow) (rate(errand_exchanges_total[5m]))', '{{flow}}')).toEqual([])
  expect(problems('rate(errand_exchange_total[5m])', '')).toEqual(['no metric errand_exchange_total'])
  expect(problems('errand_exchanges_total{flo="x"}', '')).toEqual(['errand_exchanges_total has no label flo'])
  expect(problems('sum by (who) (errand_ready)', '{{check}}')).toHaveLength(2)
  expect(problems('sum(errand_exchanges_total{outcome="server_eror"}', '')).toHaveLength(2)
})

describe('the alert rules', () => {
  test('name only metrics, labels and reasons that exist', () => {
    expect(rules.length).toBeGreaterThan(15)
    const wrong = rules.map(({ alert, expr, annotations }) => [
      alert,
      problems(expr, annotations.summary + annotations.action),
    ])
    expect(wrong.filter(([, found]) => found?.length !== 0)).toEqual([])
    expect(rules.filter(({ labels }) => !['page', 'ticket'].includes(labels.severity))).toEqual([])
  })

  test('that mean the first time see it: what they count is there, as 0, before it happens', () => {
    const missed = rules.flatMap(({ alert, expr }) =>
      [...expr.matchAll(/increase\((\w+)(?:\{([^}]*)\})?\[[^)]*\)\) > 0/g)].flatMap(([, name = '', inside = '']) => {
        const wanted = [...inside.matchAll(/(\w+)=~?"([^"]*)"/g)]
        const combinations = wanted.reduce<readonly (readonly string[])[]>(
          (all, [, label, values = '']) =>
            all.flatMap((one) => values.split('|').map((v) => [...one, `${label}="${v}"`])),
          [[]],
        )
        const isThere = (labels: readonly string[]) =>
          atStart.some((line) => line.startsWith(name) && labels.every((label) => line.includes(label)))
        return combinations.filter((labels) => !isThere(labels)).map((labels) => `${alert}: ${name} ${labels}`)
      }),
    )
    expect(missed).toEqual([])
    for (const state of ['contracted', 'halted'])
      expect(atStart).toContain(`errand_sessions_braked_total{state="${state}"} 0`)
    for (const why of ['pruned', 'damaged']) {
      expect(atStart).toContain(`errand_audit_export_lost_total{sink="siem",why="${why}"} 0`)
    }
  })

  test('have a section of the runbook each, and each section has its alert', () => {
    const sections = read('deploy/runbooks/alerts.md').split(/^## /m).slice(1)
    const titles = sections.map((section) => section.split('\n', 1)[0])
    expect([...titles].sort()).toEqual(rules.map(({ alert }) => alert).sort())
    for (const section of sections)
      expect([section.slice(0, 40), section.length > 150]).toEqual([section.slice(0, 40), true])
    for (const { alert, annotations } of rules) {
      expect([alert, annotations.summary.length > 20, annotations.action.length > 20]).toEqual([alert, true, true])
    }
  })

  test('are parsed by Prometheus itself, where it is', () => {
    try {
      execFileSync('promtool', ['check', 'rules', join(ROOT, RULES)], { stdio: 'pipe' })
    } catch (fault) {
      if ((fault as { code?: string }).code !== 'ENOENT') throw fault
      console.warn('NOT CHECKED: promtool is not here, so nobody but this test has parsed the alert rules')
    }
  })
})

describe('the dashboard', () => {
  test('names only metrics and labels that exist', () => {
    expect(drawn.length).toBeGreaterThan(20)
    const wrong = drawn.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr, legendFormat }) => [title, problems(expr, legendFormat)] as const),
    )
    expect(wrong.filter(([, found]) => found.length > 0)).toEqual([])
    expect(drawn.filter(({ targets = [], description = '' }) => targets.length === 0 || description === '')).toEqual([])
    for (const { query } of dashboard.templating.list) {
      const text = typeof query === 'string' ? query : query.query
      for (const [name] of text.matchAll(METRIC)) expect(series.has(name)).toBe(true)
    }
  })
})

test('what compose.watch.yaml watches with is there: files that exist, the broker’s own port and token, one data source', () => {
  const compose = parse(read('deploy/compose.watch.yaml'))
  for (const { file } of Object.values(compose.configs) as { file: string }[]) {
    expect([file, existsSync(join(ROOT, 'deploy', file))]).toEqual([file, true])
  }
  for (const name of ['prometheus', 'grafana']) {
    for (const { source } of compose.services[name].configs) expect(Object.keys(compose.configs)).toContain(source)
  }
  const [scraped] = parse(read('deploy/compose/prometheus.yml')).scrape_configs
  const { metrics } = parse(read('deploy/compose/errand.yaml'))
  expect(scraped.static_configs[0].targets).toEqual([`errand:${metrics.port}`])
  expect(scraped.authorization.credentials_file).toBe(metrics.token_file)
  expect(parse(read('deploy/compose/grafana/datasource.yaml')).datasources).toHaveLength(1)
})
