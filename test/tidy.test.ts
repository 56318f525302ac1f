/**
 * The rules that keep the tree readable, as tests: imports point down, files and functions stay small, dangerous calls have
 * one door, every rejection reason is mapped and named by a test, nothing is unused.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { WIRE } from '../src/http/rejection-map.ts'
import { REASONS } from '../src/kernel/rejection.ts'

const ROOT = resolve(import.meta.dirname, '..')
const SRC = join(ROOT, 'src')

const LAYERS: Readonly<Record<string, number>> = {
  kernel: 0,
  protocol: 1,
  jose: 2,
  authority: 2,
  x509: 2,
  tlog: 3,
  model: 3,
  store: 4,
  keys: 4,
  net: 4,
  admission: 5,
  credentials: 5,
  registry: 5,
  policy: 5,
  tokens: 5,
  sessions: 5,
  audit: 5,
  witness: 5,
  flows: 6,
  revocation: 6,
  calls: 6,
  admin: 6,
  operate: 6,
  http: 7,
  console: 7,
  config: 8,
  cli: 8,
}
/** What others import: built from these only, so that both ends share one engine. */
const SDK_MAY_IMPORT = ['kernel', 'protocol', 'jose', 'authority']

function walk(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name)
    if (statSync(path).isDirectory()) return walk(path)
    return path.endsWith('.ts') ? [path] : []
  })
}

const sources = walk(SRC)
  .filter((path) => !path.endsWith('.d.ts'))
  .map((path) => {
    const text = readFileSync(path, 'utf8')
    return {
      path,
      name: relative(ROOT, path),
      text,
      ast: ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true),
    }
  })
const tests = walk(join(ROOT, 'test')).map((path) => ({
  name: relative(ROOT, path),
  text: readFileSync(path, 'utf8'),
}))

type Source = (typeof sources)[number]

/** First folder below src; `sdk/verify` and files directly in src keep their own names. */
function room(path: string): string {
  const [first = '', second] = relative(SRC, path).split('/')
  if (second === undefined) return 'main'
  return first
}

function imports(source: Source): { specifier: string; target: string | undefined }[] {
  const found: { specifier: string; target: string | undefined }[] = []
  const visit = (node: ts.Node) => {
    const specifier =
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined
        ? (node.moduleSpecifier as ts.StringLiteral).text
        : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
          ? (node.arguments[0] as ts.StringLiteral).text
          : undefined
    if (specifier !== undefined) {
      found.push({
        specifier,
        target: specifier.startsWith('.') ? resolve(dirname(source.path), specifier) : undefined,
      })
    }
    ts.forEachChild(node, visit)
  }
  visit(source.ast)
  return found
}

test('imports point down: own folder or lower layers, never sideways, never up', () => {
  const wrong: string[] = []
  for (const source of sources) {
    const from = room(source.path)
    for (const { target, specifier } of imports(source)) {
      if (target === undefined) continue
      const to = room(target)
      if (from === to || from === 'main') continue
      if (from === 'sdk') {
        if (!SDK_MAY_IMPORT.includes(to))
          wrong.push(`${source.name} imports ${specifier}: the sdk is built from ${SDK_MAY_IMPORT}`)
        continue
      }
      const own = LAYERS[from]
      const other = to === 'main' ? 9 : to === 'sdk' ? 3 : LAYERS[to]
      if (own === undefined || other === undefined) wrong.push(`${source.name}: ${from} or ${to} has no layer`)
      // The command and the composition root are one layer: src/cli starts what src/app.ts wires.
      else if (other >= own && own !== 8)
        wrong.push(`${source.name} imports ${specifier}: ${from} (L${own}) → ${to} (L${other})`)
    }
  }
  expect(wrong).toEqual([])
})

test('there are no import cycles', () => {
  const graph = new Map(sources.map((source) => [source.path, imports(source).flatMap(({ target }) => target ?? [])]))
  const state = new Map<string, 'open' | 'done'>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]) => {
    if (state.get(path) === 'done') return
    if (state.get(path) === 'open') {
      cycles.push([...trail.slice(trail.indexOf(path)), path].map((one) => relative(SRC, one)).join(' → '))
      return
    }
    state.set(path, 'open')
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    state.set(path, 'done')
  }
  for (const path of graph.keys()) visit(path, [])
  expect(cycles).toEqual([])
})

test('there are no barrels: no file only re-exports', () => {
  const barrels = sources.filter(({ ast }) => ast.statements.length > 0 && ast.statements.every(ts.isExportDeclaration))
  expect(barrels.map(({ name }) => name)).toEqual([])
})

test('a file is at most 250 lines, a test file 600, a function 60', () => {
  const long = sources.filter(({ text }) => text.split('\n').length > 251).map(({ name }) => name)
  const longTests = tests.filter(({ text }) => text.split('\n').length > 601).map(({ name }) => name)
  const functions = sources.flatMap((source) => longFunctions(source))
  expect([...long, ...longTests, ...functions]).toEqual([])
})

function longFunctions(source: Source): string[] {
  const found: string[] = []
  const visit = (node: ts.Node) => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const start = source.ast.getLineAndCharacterOfPosition(node.getStart()).line
      const end = source.ast.getLineAndCharacterOfPosition(node.getEnd()).line
      if (end - start + 1 > 60) found.push(`${source.name}:${start + 1} (${end - start + 1} lines)`)
    }
    ts.forEachChild(node, visit)
  }
  visit(source.ast)
  return found
}

test('every file opens with a comment that says what it is for', () => {
  const bare = sources.filter(({ text }) => !text.replace(/^#!.*\n/, '').startsWith('/**'))
  expect(bare.map(({ name }) => name)).toEqual([])
})

/** A dangerous call, and the files it may appear in. */
const DOORS: readonly { call: RegExp; doors: readonly string[] }[] = [
  { call: /\bDate\.now\(/, doors: ['src/kernel/clock.ts'] },
  { call: /\bnew Date\(\)/, doors: [] },
  { call: /\bMath\.random\(/, doors: [] },
  {
    call: /\bprocess\.env\b/,
    doors: ['src/config/environment.ts', 'src/cli/terminal.ts'],
  },
  { call: /\bnew RegExp\(/, doors: [] },
  { call: /\bX509ChainBuilder\b/, doors: ['src/x509/issuances.ts'] },
  {
    call: /\bjwtVerify\(|\bSignJWT\b|\bCompactSign\b|\bcompactVerify\b/,
    doors: [],
  },
  { call: /\.parseBody\(/, doors: [] },
  { call: /(?<![.\w#])fetch\(/, doors: ['src/sdk/broker/http.ts'] },
  { call: /from 'node:https?'/, doors: ['src/net/guarded-fetch.ts', 'src/http/tls.ts'] },
  {
    call: /\bas Verified\b|as Verified</,
    doors: ['src/credentials/verified.ts'],
  },
  { call: /\bas any\b|: any\b/, doors: [] },
]

test('dangerous calls have one door', () => {
  const wrong: string[] = []
  for (const { call, doors } of DOORS) {
    for (const source of sources) {
      // The demo plays other parties: an IdP, MCP servers and agents bring their own HTTP.
      const allowed = doors.includes(source.name) || source.name.startsWith('src/cli/')
      if (!allowed && call.test(withoutComments(source))) wrong.push(`${source.name}: ${call.source}`)
    }
  }
  expect(wrong).toEqual([])
})

test('signatures are made and checked in one file', () => {
  const wrong = sources.filter(({ name, text }) => {
    const usesCrypto = /import \{[^}]*\b(sign|verify|createSign|createVerify)\b[^}]*\} from 'node:crypto'/s.test(text)
    return usesCrypto && name !== 'src/jose/signature.ts'
  })
  expect(wrong.map(({ name }) => name)).toEqual([])
})

/** Who may import a name of the parser, the verifier and what they are made of: everybody else goes through them. */
const FRONT_DOOR: readonly { name: string; from: string; importers: readonly string[] }[] = [
  // Bytes against a key. A DPoP proof brings its key, a key file is checked against itself.
  {
    name: 'verifyBytes',
    from: 'src/jose/signature.ts',
    importers: [
      'src/jose/verify-jws.ts',
      'src/jose/dpop-proof.ts',
      'src/keys/key-file.ts',
      // No token: the log's checkpoints.
      'src/tlog/note.ts',
    ],
  },
  // A signature without the rules of a JWT: of the time it takes, of the ring that is no token, and for people to look at.
  {
    name: 'verifyJws',
    from: 'src/jose/verify-jws.ts',
    importers: [
      'src/jose/verify-jwt.ts',
      'src/jose/verify-statement.ts',
      'src/credentials/decoy.ts',
      'src/keys/shared-ring.ts',
      'src/cli/agent/inspect-token.ts',
    ],
  },
  // A header with a key of its own in it.
  { name: 'decodeProof', from: 'src/jose/decode-jws.ts', importers: ['src/jose/dpop-proof.ts'] },
]

/** Reads loosely whom a request claims to come from, to count it, before it is worth a parser; nothing there is believed. */
const NAMES_BUCKETS = 'src/admission/claimed-client.ts'

test('every JWT passes one strict parser and one verifier', () => {
  const wrong: string[] = []
  for (const { name, from, importers } of FRONT_DOOR) {
    const users = sources.filter((source) => {
      const files = imports(source).flatMap(({ target }) => (target === undefined ? [] : [relative(ROOT, target)]))
      return files.includes(from) && new RegExp(`\\b${name}\\b`).test(withoutComments(source))
    })
    const found = users.map((user) => user.name).sort()
    if (found.join() !== [...importers].sort().join()) wrong.push(`${name} is imported by ${found}`)
  }
  // Nobody takes a token apart by hand, and no package brings a verifier of its own with it.
  for (const source of sources) {
    if (source.name.startsWith('src/cli/')) continue
    const packages = imports(source).map(({ specifier }) => specifier)
    const splits = /\.split\('\.'/.test(withoutComments(source)) && source.name !== NAMES_BUCKETS
    if (splits) wrong.push(`${source.name} splits a text at dots`)
    if (packages.some((one) => /^(jose|oauth4webapi|jsonwebtoken)(\/|$)/.test(one)))
      wrong.push(`${source.name}: a verifier`)
    const isClient = packages.includes('openid-client')
    if (isClient && !OPENID_CLIENT.includes(source.name)) wrong.push(`${source.name} imports openid-client`)
  }
  expect(wrong).toEqual([])
})

/** Discovery and introspection only, both through the guarded fetch: no token is verified by the package. */
const OPENID_CLIENT = ['src/net/discovery.ts', 'src/net/introspections.ts']

test('what openid-client is used for asks for no token and verifies none', () => {
  const used = sources
    .filter(({ name }) => OPENID_CLIENT.includes(name))
    .flatMap(({ text }) => /import \{([^}]*)\} from 'openid-client'/s.exec(text)?.[1]?.split(',') ?? [])
    .map((name) => name.replace('type ', '').trim())
    .filter((name) => name !== '')
  const known = ['allowInsecureRequests', 'ClientAuth', 'ClientSecretBasic', 'ClientSecretPost', 'Configuration']
  const more = ['CustomFetch', 'customFetch', 'discovery', 'ServerMetadata', 'tokenIntrospection']
  expect([...new Set(used)].sort()).toEqual([...known, ...more].sort())
})

function withoutComments(source: Source): string {
  return source.text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '')
}

test('every rejection reason is mapped, thrown somewhere, and named by a test', () => {
  expect(Object.keys(WIRE).sort()).toEqual([...REASONS].sort())
  const code = sources.filter(({ name }) => !name.endsWith('rejection.ts') && !name.endsWith('rejection-map.ts'))
  const unthrown = REASONS.filter((reason) => !code.some(({ text }) => text.includes(`'${reason}'`)))
  const untested = REASONS.filter((reason) => !tests.some(({ text }) => text.includes(`'${reason}'`)))
  expect({ unthrown, untested }).toEqual({ unthrown: [], untested: [] })
})

test('every exported name is used by another file', () => {
  const users = new Map<string, Set<string>>()
  for (const { name, text } of [...sources, ...tests]) {
    for (const token of text.split(/\W+/)) users.set(token, (users.get(token) ?? new Set()).add(name))
  }
  const unused: string[] = []
  for (const source of sources) {
    if (source.name.startsWith('src/sdk/')) continue
    for (const [, name = ''] of source.text.matchAll(
      /^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm,
    )) {
      const usedHere = source.text.split(/\W+/).filter((token) => token === name).length > 1
      if (users.get(name)?.size === 1 && !usedHere) unused.push(`${source.name}: ${name}`)
    }
  }
  expect(unused).toEqual([])
})

test('code is in src and test: nothing was left lying at the top', () => {
  expect(readdirSync(ROOT).filter((name) => /\.[cm]?[jt]s$/.test(name))).toEqual([])
})

test('every source file is reached from an entry point', () => {
  const graph = new Map(sources.map((source) => [source.path, imports(source).flatMap(({ target }) => target ?? [])]))
  const reached = new Set<string>()
  const visit = (path: string) => {
    if (reached.has(path)) return
    reached.add(path)
    for (const next of graph.get(path) ?? []) visit(next)
  }
  visit(join(SRC, 'main.ts'))
  for (const { path, name } of sources) if (name.startsWith('src/sdk/')) visit(path)
  expect(sources.filter(({ path }) => !reached.has(path)).map(({ name }) => name)).toEqual([])
})

test('no unfinished work is marked, no test is skipped or focused by hand', () => {
  const marks = [...sources, ...tests].filter(
    ({ name, text }) =>
      name !== 'test/tidy.test.ts' && /\b(TODO|FIXME|XXX|HACK)\b|\b(?:it|test|describe)\.(?:only|todo)\(/.test(text),
  )
  expect(marks.map(({ name }) => name)).toEqual([])
})
