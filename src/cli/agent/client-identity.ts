/** Which agent (or service) a command speaks as, to which broker: from options, or from the configuration beside the keys. */
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { configPath, loadConfig } from '../../config/load-config.ts'
import type { SigningKey } from '../../jose/sign-jwt.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Args } from '../args.ts'
import { BrokerClient } from '../broker-client.ts'
import { UsageError } from '../failures.ts'
import { BROKER_OPTION, brokerAddress } from '../operator.ts'
import { CONFIG_OPTION, type OptionSpecs } from '../options.ts'
import { clientKeyPath, mintAssertion, readClientKey } from './client-key.ts'

export const CLIENT_OPTIONS: OptionSpecs = {
  client: { value: 'ID', help: 'the client id of the agent or service' },
  'agent-key': {
    value: 'FILE',
    help: 'its private key, a JWK file of mode 600 (default: agents/<client id>.jwk.json beside the configuration)',
  },
  issuer: { value: 'URL', help: 'the broker’s issuer, where there is no configuration at hand' },
  ...CONFIG_OPTION,
  ...BROKER_OPTION,
}

export interface ClientIdentity {
  readonly clientId: string
  readonly issuer: string
  readonly broker: BrokerClient
  /** Fresh each time: an assertion is for one request. */
  assertion(): Promise<Secret>
}

export interface ClientFacts {
  readonly clientId: string
  readonly issuer: string
  /** Where the broker answers, and what it proves itself by there. */
  readonly base: string
  readonly certificate: string | undefined
  readonly key: SigningKey
}

/** @throws UsageError, ConfigurationError */
export async function clientFacts(args: Args): Promise<ClientFacts> {
  const clientId = args.require('client')
  const issuerGiven = args.text('issuer')
  const path = resolve(configPath(args.text('config')))
  const config = issuerGiven === undefined ? loadConfig(path) : undefined
  const issuer = issuerGiven ?? config?.settings.issuer ?? ''
  const elsewhere = { base: args.text('broker') ?? issuer, certificate: undefined }
  const { base, certificate } = config === undefined ? elsewhere : brokerAddress(config, args)
  const keyFile = args.text('agent-key') ?? clientKeyPath(dirname(path), clientId)
  if (!existsSync(keyFile)) {
    const how = `give --agent-key FILE, or make the agent with errand agent add ${clientId}`
    throw new UsageError(`there is no key file ${keyFile}: ${how}`)
  }
  return { clientId, issuer, base, certificate, key: await readClientKey(keyFile) }
}

/** @throws UsageError, ConfigurationError */
export async function identify(args: Args): Promise<ClientIdentity> {
  const { clientId, issuer, base, certificate, key } = await clientFacts(args)
  return {
    clientId,
    issuer,
    broker: new BrokerClient(base, certificate),
    assertion: () => mintAssertion(key, clientId, issuer, epochSeconds(systemClock)),
  }
}
