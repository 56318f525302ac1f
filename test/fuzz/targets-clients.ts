/** What strangers publish about themselves, and what an operator hands to the doctor. */
import { join } from 'node:path'
import { diagnose } from '../../src/cli/doctor/diagnosis.ts'
import { drawDiagnosis } from '../../src/cli/doctor/drawing.ts'
import { admit } from '../../src/cli/doctor/patient.ts'
import { plainStyles } from '../../src/cli/terminal.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { newApiKey } from '../../src/credentials/client/api-key.ts'
import { JwtError } from '../../src/jose/jwt-error.ts'
import { isJsonObject, parseStrictJson } from '../../src/jose/strict-json.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { KeyFileError } from '../../src/keys/key-file.ts'
import { ClientMetadataError, readMetadataKeys } from '../../src/net/client-metadata.ts'
import { publicJwk, sign, testKey } from '../support/keys.ts'
import { OracleError, type Target } from './harness.ts'

const URL_ID = 'https://agents.example/report'
const KEY = publicJwk(testKey('published'))
const DOCUMENT = {
  client_id: URL_ID,
  client_name: 'Report writer',
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'ES256',
  jwks: { keys: [KEY] },
}

/** Whoever is believed has said all of it. */
function assertSaidAll(document: unknown): void {
  if (!isJsonObject(document)) throw new OracleError('takes what is no object')
  const { client_id: id, token_endpoint_auth_method: method, client_secret: secret } = document
  if (id !== URL_ID || method !== 'private_key_jwt' || secret !== undefined) throw new OracleError('takes it unsaid')
  if ((document['jwks'] === undefined) === (document['jwks_uri'] === undefined)) throw new OracleError('takes both')
}

const patient = admit(loadConfig(join(import.meta.dirname, '..', '..', 'deploy', 'example', 'errand.yaml')), {
  token: new Secret(''),
  clientId: undefined,
  offline: true,
  jwks: undefined,
  clock: systemClock,
})
const said = (claims: object, header: object = {}) =>
  sign({ key: testKey('doctor'), header: { ...header }, claims: { ...claims, exp: 4_000_000_000 } }).reveal()

export const CLIENT_TARGETS: readonly Target[] = [
  {
    name: 'client-metadata',
    corpus: [DOCUMENT, { ...DOCUMENT, jwks: undefined, jwks_uri: 'https://agents.example/keys' }].map((one) =>
      JSON.stringify(one),
    ),
    isRefusal: (error) => error instanceof ClientMetadataError || error instanceof JwtError,
    run: async (input) => {
      const document = parseStrictJson(input)
      const asked: string[] = []
      await readMetadataKeys({ url: URL_ID, algorithms: ['ES256'] }, async (url) => {
        asked.push(url)
        return asked.length === 1 ? document : { keys: [KEY] }
      })
      assertSaidAll(document)
      if (asked.some((url) => new URL(url).origin !== 'https://agents.example')) throw new OracleError('asks elsewhere')
    },
  },
  {
    name: 'doctor',
    corpus: [
      said({ iss: 'https://idp.example', sub: 'x', aud: 'a' }),
      said({ iss: patient.settings.issuer, sub: 'user:corp:x' }, { typ: 'errand-session+jwt' }),
      said({ sub: 'spiffe://example.org/x', aud: [patient.settings.issuer] }, { typ: 'JWT' }),
      newApiKey().reveal(),
      'Bearer 2YotnFZFEjr1zCsicMWpAA',
    ],
    isRefusal: (error) => error instanceof KeyFileError,
    run: async (input) => {
      const text = drawDiagnosis(await diagnose({ ...patient, token: new Secret(input) }), plainStyles)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
      if (/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(text)) throw new OracleError('draws a control character')
      const [, , signature = ''] = input.split('.')
      if (signature.length > 20 && text.includes(signature)) throw new OracleError('shows a signature')
    },
  },
]
