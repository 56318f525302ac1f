import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { COMMANDS } from '../support/commands.ts'
import { errand, serveErrand, TOKEN_TEXT } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'

// Each command is a process of its own, and the machine may be busy.
let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-cli-start-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const run = (...args: string[]) => errand(args, { cwd: directory })
const path = (name: string) => join(directory, name)

describe('npm start: serve --development', () => {
  test('needs no file, and the line it prints is a first exchange when pasted into another shell', async () => {
    const port = await freePort()
    const broker = await serveErrand(['--development', '--port', String(port)], directory)
    try {
      await expect.poll(broker.written).toContain('see a decision change')
      const pasted = /in another shell:\n\n([\s\S]*?)\n\n/.exec(broker.written())?.[1] ?? ''
      expect(pasted).toMatch(/^ {2}npm --prefix .* assertion .*\| curl -s http/s)
      // No token and no key on a command line: the assertion goes through the pipe.
      expect(pasted).not.toMatch(TOKEN_TEXT)
      const answer = JSON.parse(await inShell(pasted, tmpdir()))
      expect(answer).toMatchObject({ token_type: 'Bearer', scope: 'mcp:tools:read' })
      expect(answer.access_token).toMatch(TOKEN_TEXT)

      const others = /the end of it:\n\n([\s\S]*?)\n\n/.exec(broker.written())?.[1] ?? ''
      expect(others.split('\n')).toHaveLength(4)
      const told = await inShell(others, tmpdir())
      expect(told).toMatch(
        /access token[\s\S]*active[\s\S]*demo-agent cut off and blocked: 2 hops, 2 access tokens[\s\S]*lifted: agent demo-agent/,
      )
    } finally {
      broker.signal('SIGTERM')
    }
    expect(await broker.ended).toBe(0)
    expect(broker.written()).toMatch(/stopped\n$/)
    expect(broker.written()).not.toMatch(TOKEN_TEXT)
  })

  test('makes keys and state that git ignores and others cannot read, and keeps what a person changes', async () => {
    const first = await freePort()
    const broker = await serveErrand(['--development', '--port', String(first)], directory)
    broker.signal('SIGINT')
    expect(await broker.ended).toBe(0)
    expect(readdirSync(directory)).toEqual(['.errand'])
    expect(readFileSync(path('.errand/.gitignore'), 'utf8')).toBe('*\n')
    const keys = readdirSync(path('.errand/keys'))
    expect(keys.every((name) => name.startsWith('dev-'))).toBe(true)
    for (const name of [...keys.map((key) => `keys/${key}`), 'agents/demo-agent.jwk.json']) {
      expect(statSync(path(`.errand/${name}`)).mode & 0o777, name).toBe(0o600)
    }

    const registry = readFileSync(path('.errand/registry.yaml'), 'utf8')
    const changed = registry.replace('search: {}', 'search: {} # mine').replace('          read_note: {}\n', '')
    writeFileSync(path('.errand/registry.yaml'), changed)
    const second = await freePort()
    const again = await serveErrand(['--development', '--port', String(second)], directory)
    try {
      expect(readFileSync(path('.errand/registry.yaml'), 'utf8')).toBe(changed)
      const config = readFileSync(path('.errand/errand.yaml'), 'utf8')
      expect(config).toContain(`issuer: http://127.0.0.1:${second}\n`)
      expect(config).toContain('# Relative paths are relative to this file.')
      // Scopes are all or nothing at a server that checks no tools: with one tool less, its scope is gone too.
      const refused = await run(
        ...'exchange --config .errand/errand.yaml --client demo-agent'.split(' '),
        '--resource',
        'https://notes.example/mcp',
      )
      expect(refused.code).toBe(1)
      expect(refused.err).toMatch(/^refused: /)
    } finally {
      again.signal('SIGTERM')
    }
    expect(await again.ended).toBe(0)
  })

  test('is refused for any environment but development', async () => {
    await run('init', '--yes', '--issuer', 'https://errand.example')
    const refused = await run('serve', '--development', '--config', 'errand.yaml')
    expect(refused.code).toBe(2)
    expect(refused.err).toContain('is of environment production')
  })
})

/** As a person pastes it: a plain shell, somewhere else. */
function inShell(text: string, cwd: string): Promise<string> {
  return new Promise((done, fail) => {
    execFile('/bin/sh', ['-c', text], { cwd }, (error, out, err) =>
      error === null ? done(out) : fail(new Error(`${error.message}\n${err}`)),
    )
  })
}

describe('init', () => {
  test('a port that is named is the issuer’s too', async () => {
    await run('init', '--yes', '--port', '4417')
    expect(readFileSync(path('errand.yaml'), 'utf8')).toMatch(/^issuer: http:\/\/127\.0\.0\.1:4417$/m)
    expect((await run('init', '--yes', '--directory', 'other', '--port', 'x')).err).toContain(
      '--port must be a whole number',
    )
  })

  test('asks, asks again where an answer cannot be right, and takes its defaults for empty ones', async () => {
    const answers = [
      'http://errand.example',
      'https://errand.example',
      '',
      '', // issuer (twice), port, store
      'https://idp.invalid',
      'https://idp.invalid/keys',
      '',
      'carol', // the IdP
      'report agent',
      'report-agent',
      'carol@corp.example', // the agent (twice), its owner
      'https://warehouse.corp.example/mcp',
      'query',
      'query:read,drop:destructive', // the server, its tools (twice)
    ]
    const asked = await errand(['init', '--directory', 'new'], { cwd: directory, input: `${answers.join('\n')}\n` })
    expect(asked.code, asked.err).toBe(0)
    expect(asked.err.trim().split('\n')).toHaveLength(3)
    const registry = readFileSync(path('new/registry.yaml'), 'utf8')
    expect(registry).toContain('client_id: report-agent')
    expect(registry).toContain('{ issuer: corp, sub: carol }')
    expect(registry).toContain('id: warehouse')
    const checked = await run('check', '--config', 'new/errand.yaml')
    expect(checked).toMatchObject({ code: 0, err: '' })
    expect(checked.out).toMatch(/^ok {2}https:\/\/errand\.example \(production\)/)
    // Keys of production are not development's.
    expect(readdirSync(path('new/keys')).some((name) => name.startsWith('dev-'))).toBe(false)
  })

  test('writes nothing where the answers end, or do not fit together', async () => {
    const ended = await errand(['init'], { cwd: directory, input: 'https://errand.example\n' })
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('no answer came; nothing was written')
    const contradictory = await run(
      'init',
      '--yes',
      '--issuer',
      'https://errand.example',
      '--server',
      'https://errand.example/api',
    )
    expect(contradictory.code).toBe(2)
    expect(contradictory.err).toContain('belongs to the broker itself')
    const password = await run('init', '--yes', '--store', 'redis', '--redis-url', 'redis://:hunter2@redis.example')
    expect(password.code).toBe(2)
    expect(`${password.out}${password.err}`).not.toContain('hunter2')
    expect(readdirSync(directory)).toEqual([])
  })
})

describe('a configuration with problems', () => {
  const BAD = `issuer: http://errand.example/
lissen: {}
environment: development
store: { kind: embedded }
keys: { directory: keys }
listen: { port: 4400 }
tokens: { access_token_seconds: 100000 }
`

  test('every one is printed with its path, and the broker does not start', async () => {
    writeFileSync(path('errand.yaml'), BAD)
    const served = await run('serve')
    expect(served.code).toBe(2)
    const paths = ['issuer', 'lissen', 'store.directory', 'tokens.access_token_seconds']
    for (const name of paths) expect(served.err).toContain(`errand.yaml: ${name}: `)
    expect(served.err).toContain('did you mean listen?')
    const checked = await run('check', '--json')
    expect(checked.code).toBe(1)
    expect(JSON.parse(checked.out).problems).toHaveLength(paths.length)
  })

  test('a port is asked for in words', async () => {
    for (const port of ['"4400"', '-1', '65536', '1.5']) {
      writeFileSync(path('errand.yaml'), BAD.replace('port: 4400', `port: ${port}`))
      const { err } = await run('serve')
      expect(err, port).toContain('errand.yaml: listen.port: must be a whole number from 0 to 65535\n')
    }
    writeFileSync(path('errand.yaml'), BAD.replace('port: 4400', 'host: 127.0.0.1'))
    expect((await run('serve')).err).toContain('errand.yaml: listen.port: required')
  })

  test('of the registry too, in every file of it', async () => {
    await run('init', '--yes')
    writeFileSync(path('more.yaml'), 'agents:\n  - client_id: x\n    ownr: bob\n    environment: development\n')
    const config = readFileSync(path('errand.yaml'), 'utf8')
    writeFileSync(
      path('errand.yaml'),
      config.replace('registry: ./registry.yaml', 'registry: [./registry.yaml, ./more.yaml, ./absent.yaml]'),
    )
    expect((await run('check')).out).toMatch(/absent\.yaml: cannot be read \(ENOENT\)/)
    writeFileSync(path('absent.yaml'), 'grants: [{}]\n')
    const { err, code } = await run('serve')
    expect(code).toBe(2)
    expect(err).toContain('more.yaml: agents[0].owner: required')
    expect(err).toContain('more.yaml: agents[0].ownr: unknown key; did you mean owner?')
    expect(err).toContain('absent.yaml: grants[0].id: required')
  })

  test('that is not there is said, and where it was looked for', async () => {
    for (const command of [['serve'], ['check'], ['sessions'], ['keys'], ['agent', 'add', 'x', '--owner', 'y']]) {
      const { code, out, err } = await run(...command)
      expect(code, command.join(' ')).toBe(command[0] === 'check' ? 1 : 2)
      expect(`${out}${err}`).toMatch(
        /no configuration at \/.*\/errand\.yaml: name one with --config, or .* errand init/,
      )
    }
  })

  test('a port that is taken is said with what to do', async () => {
    await run('init', '--yes')
    const port = await freePort()
    const first = await serveErrand(['--port', String(port)], directory)
    try {
      await run('init', '--yes', '--directory', 'other')
      const second = await errand(['serve', '--port', String(port)], { cwd: path('other') })
      expect(second.code).toBe(1)
      expect(second.err).toContain(`port ${port} of 127.0.0.1 is in use: choose another with --port`)
    } finally {
      first.signal('SIGTERM')
    }
    expect(await first.ended).toBe(0)
  })
})

describe('agent add', () => {
  test('refuses what the registry does not know, and then writes nothing', async () => {
    await run('init', '--yes')
    const before = readFileSync(path('registry.yaml'), 'utf8')
    const refused = await run('agent', 'add', 'x', '--owner', 'bob', '--manifest', 'mcpp,mcp:serch')
    expect(refused.code).toBe(2)
    expect(refused.err).toContain('did you mean mcp?')
    expect(refused.err).toContain('did you mean search?')
    const twice = await run('agent', 'add', 'first-agent', '--owner', 'bob')
    expect(twice.err).toContain('already used by')
    expect((await run('agent', 'add', 'x', '--owner', 'bob', '--grant-types', 'password')).code).toBe(2)
    expect((await run('agent', 'add', 'x', '--owner', 'bob', '--state', 'retired')).err).toContain(
      'draft, testing, active',
    )
    expect((await run('agent', 'add', 'x', '--owner', 'user:crop:bob')).err).toContain('no issuer is named crop')
    expect((await run('agent', 'add', 'x', '--owner', 'bob', '--registry', 'other.yaml')).err).toContain(
      'none of the configuration',
    )
    expect(readFileSync(path('registry.yaml'), 'utf8')).toBe(before)
    expect(readdirSync(path('agents'))).toEqual(['first-agent.jwk.json'])
  })

  test('follows a link to the registry instead of replacing it', async () => {
    await run('init', '--yes')
    writeFileSync(path('real.yaml'), readFileSync(path('registry.yaml')))
    rmSync(path('registry.yaml'))
    symlinkSync('real.yaml', path('registry.yaml'))
    expect((await run('agent', 'add', 'x', '--owner', 'bob')).code).toBe(0)
    expect(readFileSync(path('real.yaml'), 'utf8')).toContain('client_id: x')
    expect((await run('agent', 'add', 'y', '--owner', 'bob', '--state', 'draft')).code).toBe(0)
    expect(readFileSync(path('real.yaml'), 'utf8')).toContain('state: draft')
    expect((await run('check')).out).toContain('3 agents')
  })
})

describe('service add', () => {
  test('makes a key of its owner’s only, and a registry that is right; the broker then knows who asks', async () => {
    const init = await run('init', '--yes')
    const [, told = ''] = / (service add .*)\n/.exec(init.out) ?? []
    expect(told).toMatch(/^service add \S+-server --config \S+ --resource \S+$/)
    const before = readFileSync(path('registry.yaml'), 'utf8')
    const unknown = await run('service', 'add', 'x', '--resource', 'absent')
    expect(unknown.code).toBe(2)
    expect(unknown.err).toContain('has no resource absent')
    expect((await run('service', 'add', 'x')).err).toContain('--resource is needed')
    expect(readFileSync(path('registry.yaml'), 'utf8')).toBe(before)
    expect(readdirSync(path('agents'))).toEqual(['first-agent.jwk.json'])

    const added = await run(...told.split(' '))
    expect(added, added.err).toMatchObject({ code: 0, err: '' })
    const client = told.split(' ')[2] ?? ''
    expect(statSync(path(`agents/${client}.jwk.json`)).mode & 0o777).toBe(0o600)
    const after = readFileSync(path('registry.yaml'), 'utf8').split('\n')
    expect(before.split('\n').filter((line) => !after.includes(line))).toEqual([])
    expect((await run('check')).out).toMatch(/^ok/m)
    expect((await run(...told.split(' '))).code).toBe(2)
  })
})

describe('help', () => {
  test('lists every command, and each shows an example', async () => {
    const { out, code } = await run('help')
    expect(code).toBe(0)
    const lines = out.split('\n').map((line) => line.trim())
    for (const { name, summary } of COMMANDS) {
      expect(
        lines.some((line) => line.startsWith(`${name} `) && line.endsWith(` ${summary}`)),
        name,
      ).toBe(true)
    }
    const helped = await Promise.all(COMMANDS.map(({ name }) => run(...name.split(' '), '--help')))
    COMMANDS.forEach(({ name, options }, index) => {
      const help = helped[index]
      expect(help, name).toMatchObject({ code: 0, err: '' })
      expect(help?.out).toMatch(/\nExamples?\n {2}errand /)
      for (const option of Object.keys(options)) expect(help?.out).toContain(`--${option}`)
    })
  })

  test('of a group shows its commands', async () => {
    for (const line of ['agent --help', 'help agent', 'admin -h', 'keys --help', 'help keys']) {
      const { code, out, err } = await run(...line.split(' '))
      expect({ code, err }, line).toEqual({ code: 0, err: '' })
      const word = line.replace(/help|-h|-/g, '').trim()
      for (const { name, summary } of COMMANDS.filter((command) => command.name.startsWith(`${word} `))) {
        expect(out).toMatch(new RegExp(`^ {2}${name} +${summary}$`, 'm'))
      }
    }
    expect((await run('keys', '--help')).out).toContain('Usage  errand keys')
  })

  test('names the nearest command or option for one that is misspelt', async () => {
    for (const [line, suggestion] of [
      ['servee', 'did you mean serve?'],
      ['keys rotat', 'did you mean keys rotate?'],
      ['agent ad', 'did you mean agent add?'],
      ['admin', 'say which: admin login, admin token'],
      ['serve --prot 1', 'did you mean --port?'],
      ['serve --port', '--port needs a value'],
      ['serve --port x', 'must be a whole number'],
      ['assertion --client x --issuer http://127.0.0.1:1', 'agents/x.jwk.json: give --agent-key FILE, or make'],
      ['serve extra', 'unexpected argument extra'],
      ['exchange --want everything', 'must be one of access, session, delegation'],
      ['agent add', 'CLIENT is needed'],
    ] as const) {
      const { code, err, out } = await run(...line.split(' '))
      expect({ code, out }, line).toEqual({ code: 2, out: '' })
      expect(err).toContain(suggestion)
    }
    expect(existsSync(path('.errand'))).toBe(false)
  })
})
