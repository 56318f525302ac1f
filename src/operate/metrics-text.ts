/**
 * One registry, two texts. OpenMetrics is what it is kept in, because exemplars exist in no other; readers that know only
 * Prometheus' own text format 0.0.4 get that, without them.
 */

export const OPENMETRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
export const CLASSIC_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Whether the reader names OpenMetrics, and not with a weight of nothing (RFC 9110 §12.5.1). */
export function wantsOpenMetrics(accept: string | null): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === 'application/openmetrics-text' && !parameters.some((one) => /^q=0(?:\.0*)?$/.test(one))
  })
}

/** A counter is named with its suffix there, nothing has exemplars, and no line says that it is the last. */
export function classicText(openMetrics: string): string {
  const lines = openMetrics.split('\n')
  const counters = new Set(lines.flatMap((line) => /^# TYPE (\w+) counter$/.exec(line)?.[1] ?? []))
  const classic = lines
    .filter((line) => line !== '# EOF')
    .map((line) => {
      const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\w+) (.*)$/.exec(line) ?? []
      if (kind !== undefined) return `# ${kind} ${counters.has(name) ? `${name}_total` : name} ${rest}`
      return line.replace(/ # \{trace_id="[0-9a-f]+"\} .*$/, '')
    })
  return classic.join('\n')
}
