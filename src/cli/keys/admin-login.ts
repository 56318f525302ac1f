/** `errand admin login`: an admin's own identity provider's token, once, for a management token that other commands use. */
import { resolve } from 'node:path'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { MANAGEMENT_TOKEN_LIFETIME_S } from '../../kernel/limits.ts'
import { Secret } from '../../kernel/secret.ts'
import { timeText } from '../../kernel/time-text.ts'
import { ADMIN_ROLES } from '../../model/admin-role.ts'
import { DPOP_KEY_OPTION, newOrOldKey, withProof } from '../agent/dpop-key.ts'
import type { Args } from '../args.ts'
import { BrokerClient, BrokerRefusal } from '../broker-client.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure } from '../failures.ts'
import { typedPath } from '../invocation.ts'
import type { Io } from '../io.ts'
import { arrayOf, type JsonObject, numberIn, textOf } from '../json-fields.ts'
import { ADMIN_API } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { type SignedIn, writeSignIn } from '../sign-in-file.ts'
import { readToken } from '../token-input.ts'

const LOGIN = `${ADMIN_API}/login`

export const adminLoginCommand: CommandBody = {
  arguments: [],
  options: {
    issuer: { value: 'URL', help: 'the broker, as it calls itself, such as https://errand.example' },
    broker: { value: 'URL', help: 'where it answers, if not there' },
    'token-file': { value: 'FILE', help: 'your identity provider’s token; - reads it from a pipe' },
    out: { value: 'FILE', help: 'where the sign-in is kept (mode 600), for --admin of other commands' },
    role: {
      value: 'ROLE',
      help: 'only this role, may be repeated (default: all you have)',
      oneOf: ADMIN_ROLES,
      repeats: true,
    },
    ...DPOP_KEY_OPTION,
    ...JSON_OPTION,
  },
  examples: [
    'errand admin login --issuer https://errand.example --token-file id.jwt --out admin.json',
    'errand admin login --issuer https://errand.example --token-file - --out admin.json --dpop-key admin-dpop.jwk.json < id.jwt',
    'errand sessions --admin admin.json',
  ],
  notes: [
    `Needs no key and no file of the broker’s. Good for ${MANAGEMENT_TOKEN_LIFETIME_S / 60} minutes at most, and never longer than the token it was given for, which signs in once.`,
    'With --dpop-key whoever copies the file has nothing of it without the key.',
  ],
  run: async (args, io) => {
    const out = args.require('out')
    const [signedIn, answer] = await signIn(args, io)
    await writeSignIn(out, signedIn)
    const roles = arrayOf(answer['roles']).flatMap((role) => textOf(role) ?? [])
    const until = timeText(signedIn.expiresAt)
    if (args.flag('json')) writeJson({ file: out, roles, until, bound: signedIn.dpopKey !== undefined }, io)
    else io.out(draw(out, roles, until, io))
    return 0
  },
}

/** @throws UsageError, BrokerRefusal, CommandFailure */
async function signIn(args: Args, io: Io): Promise<readonly [SignedIn, JsonObject]> {
  const issuer = args.require('issuer').replace(/\/$/, '')
  const broker = args.text('broker') ?? issuer
  const client = new BrokerClient(broker)
  const token = await readToken(args.require('token-file'), io)
  const key = args.text('dpop-key')
  const make = key === undefined ? undefined : await newOrOldKey(key)
  const wanted = args.flag('role') ? { roles: args.all('role') } : {}
  // What is given ends by the broker's clock: counted from before it was asked for, it is never believed for longer.
  const now = epochSeconds(systemClock)
  const answer = await withProof(make, { method: 'POST', url: `${issuer}${LOGIN}`, token: undefined }, (proof) =>
    client.postJson(LOGIN, undefined, { token: token.reveal(), ...wanted }, proof).catch(explainStranger),
  )
  const [given, seconds] = [answer['token'], numberIn(answer['expires_in'])]
  // One that came without its key would be used without: the broker says which it is.
  const isBound = answer['token_type'] === 'DPoP'
  if (typeof given !== 'string' || !(seconds > 0) || isBound !== (key !== undefined)) {
    throw new CommandFailure('the answer is not a management token as it was asked for')
  }
  const dpopKey = key === undefined ? undefined : resolve(key)
  return [{ issuer, broker, token: new Secret(given), expiresAt: now + seconds, dpopKey }, answer]
}

/** Strangers are told nothing; whoever sits here may look at the broker's files. */
function explainStranger(fault: unknown): never {
  const isStranger = fault instanceof BrokerRefusal && fault.status === 401 && fault.nonce === undefined
  throw isStranger ? new BrokerRefusal(fault.status, fault.body, STRANGER) : fault
}

const STRANGER =
  'The token must be of an issuer whose registry entry has admin_audience, with that audience alone, of a sign-in within the hour, and not used before; errand audit on the broker’s machine counts the reasons.'

function draw(out: string, roles: readonly string[], until: string, { styles: { good, dim } }: Io): string {
  return [
    `${good('signed in')} until ${until}: ${roles.join(', ')}`,
    dim(`  errand sessions --admin ${typedPath(out)}`),
    '',
  ].join('\n')
}
