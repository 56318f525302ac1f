/** `--profile`: where Errand's main thread spends its time, by part of the source tree, dependency and function. */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sum } from './figures.ts'
import { type Output, table } from './output.ts'
import type { Bench, Runner } from './systems.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PARTS_SHOWN = 24
const FUNCTIONS_SHOWN = 30
/** Rounds' worth of exchanges under the profiler. */
const ROUNDS = 4

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export async function profile(
  bench: Bench,
  runners: readonly Runner[],
  options: { readonly exchanges: number },
  output: Output,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'errand-profile-'))
  for (const runner of runners.filter(({ target }) => target.dialect === 'errand')) {
    const path = join(directory, `${runner.target.name}.cpuprofile`)
    const count = options.exchanges * ROUNDS
    await bench.generator.call('prepare', { scene: runner.target.scene, workload: 'open', count })
    await runner.process.call('startProfile')
    const round = await bench.measure(runner, 'open', count)
    await runner.process.call('stopProfile', path)
    const cpu = (micros: number) => (micros / round.exchanges).toFixed(1)
    output.say(
      `\n${runner.target.name}, open, under the profiler: ${cpu(round.cpuMicros)} µs of CPU per exchange, ` +
        `${cpu(round.mainThreadMicros)} on the main thread, ${cpu(round.cpuMicros - round.mainThreadMicros)} on others ` +
        '(signatures, disk, garbage collection)',
    )
    output.say(describe(JSON.parse(readFileSync(path, 'utf8')) as CpuProfile, round.exchanges))
    output.say(`the whole profile: ${path}`)
  }
}

/** Self time in µs per exchange: by the clock, so on a busy machine it includes waiting for a core. */
function describe({ nodes, samples, timeDeltas }: CpuProfile, exchanges: number): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const parts = new Map<string, number>()
  const functions = new Map<string, number>()
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id)
    if (frame === undefined || frame.functionName === '(idle)') continue
    const micros = timeDeltas[index] ?? 0
    const part = partOf(frame)
    add(parts, part, micros)
    add(functions, `${frame.functionName || '(anonymous)'}  ${placeOf(frame)}`, micros)
  }
  const total = sum([...parts.values()])
  const rows = (of: ReadonlyMap<string, number>, shown: number) =>
    [...of]
      .sort(([, one], [, other]) => other - one)
      .slice(0, shown)
      .map(([name, micros]) => [name, (micros / exchanges).toFixed(1), `${((100 * micros) / total).toFixed(1)} %`])
  const head = ['µs by the clock', 'share']
  return `${table([['part', ...head], ...rows(parts, PARTS_SHOWN)])}\n\n${table([['function', ...head], ...rows(functions, FUNCTIONS_SHOWN)])}`
}

type Frame = CpuProfile['nodes'][number]['callFrame']

/** `src/http`, `ioredis`, `node:internal`, `(garbage collector)`, `native`. */
function partOf({ functionName, url }: Frame): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'native'
  if (url.startsWith('node:')) return url.split('/').slice(0, 2).join('/')
  const path = relativePath(url)
  const dependency = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]
  return dependency ?? path.split('/').slice(0, 2).join('/')
}

function placeOf({ url, lineNumber }: Frame): string {
  return url === '' ? '' : `${relativePath(url)}:${lineNumber + 1}`
}

function relativePath(url: string): string {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path
}

function add(totals: Map<string, number>, name: string, value: number): void {
  totals.set(name, (totals.get(name) ?? 0) + value)
}
