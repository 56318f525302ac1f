/** The files of `errand serve --development`: made once, in a folder git ignores, and the reader's to change afterwards. */
import { existsSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { parseDocument } from 'yaml'
import type { Config } from '../../config/config.ts'
import { clientKeyPath, newClientKey, readRegisteredKey } from '../agent/client-key.ts'
import { createFile, PRIVATE, PUBLIC, replaceFile } from '../private-file.ts'
import { type Choices, configText, PORT_DEFAULT, registryText } from '../setup/scaffold.ts'

export const DEVELOPMENT_DIRECTORY = '.errand'
export const DEMO_AGENT = 'demo-agent'
export const DEMO_RESOURCE = 'https://notes.example/mcp'

const issuerAt = (port: number): string => `http://127.0.0.1:${port}`

function choicesFor(port: number): Choices {
  return {
    issuer: issuerAt(port),
    port,
    environment: 'development',
    store: { kind: 'embedded' },
    idp: undefined,
    agent: { clientId: DEMO_AGENT, owner: userInfo().username },
    server: {
      id: 'notes',
      url: DEMO_RESOURCE,
      tools: [
        { name: 'search', category: 'read' },
        { name: 'read_note', category: 'read' },
        { name: 'write_note', category: 'write' },
        { name: 'delete_note', category: 'destructive' },
      ],
    },
  }
}

/**
 * What is there stays; what is missing is made, the configuration last, so that it stands only where the rest does.
 * @param port for files that are made now; default: `PORT_DEFAULT`
 * @returns the configuration's path
 */
export async function ensureDevelopmentFiles(directory: string, port: number | undefined): Promise<string> {
  const configFile = join(directory, 'errand.yaml')
  if (existsSync(configFile)) return configFile
  const choices = choicesFor(port ?? PORT_DEFAULT)
  const ignoreFile = join(directory, '.gitignore')
  if (!existsSync(ignoreFile)) await createFile(ignoreFile, '*\n', PUBLIC)
  const registryFile = join(directory, 'registry.yaml')
  if (!existsSync(registryFile)) {
    await createFile(registryFile, registryText(choices, await registeredKey(directory)), PUBLIC)
  }
  await createFile(configFile, configText(choices), PUBLIC)
  return configFile
}

async function registeredKey(directory: string): Promise<Readonly<Record<string, string>>> {
  const path = clientKeyPath(directory, DEMO_AGENT)
  if (existsSync(path)) return readRegisteredKey(path)
  const key = newClientKey(DEMO_AGENT)
  await createFile(path, key.privateText.reveal(), PRIVATE)
  return key.registered
}

/** The same broker on another port of this machine: its issuer names the port. */
export function movedTo(config: Config, port: number): Config {
  const { settings, listen } = config
  return { ...config, settings: { ...settings, issuer: issuerAt(port) }, listen: { ...listen, port } }
}

/** Once it runs there: other commands read the file to find it. Nothing else of the file changes. */
export async function rememberPort(configFile: string, port: number): Promise<void> {
  const document = parseDocument(readFileSync(configFile, 'utf8'))
  if (document.getIn(['listen', 'port']) === port && document.get('issuer') === issuerAt(port)) return
  document.set('issuer', issuerAt(port))
  document.setIn(['listen', 'port'], port)
  await replaceFile(configFile, document.toString({ lineWidth: 0 }), PUBLIC)
}
