/** A verifier that follows the feed of a broker of the tests, wherever that listens: its issuer's name is not its address. */
import { type JsonDoor, jsonOverHttp, type StreamDoor, streamOverHttp } from '../../src/sdk/broker/http.ts'
import { TokenRefused } from '../../src/sdk/verify/verified-token.ts'
import {
  createVerifier,
  type RevocationOptions,
  type Verifier,
  type VerifierOptions,
} from '../../src/sdk/verify/verifier.ts'
import { sign, testKey } from './keys.ts'
import { WAREHOUSE, type World } from './world.ts'

export interface FeedVerifierOptions extends Partial<Omit<VerifierOptions, 'revocations'>> {
  /** Where the broker listens now. */
  readonly at: () => string
  readonly client?: string
  readonly revocations?: Partial<RevocationOptions>
}

export type FollowingVerifier = Verifier & { readonly revocations: NonNullable<Verifier['revocations']> }

export function feedVerifier(world: Pick<World, 'issuer' | 'clock'>, options: FeedVerifierOptions): FollowingVerifier {
  const {
    at,
    client = 'warehouse-server',
    revocations,
    door = jsonOverHttp,
    streams = streamOverHttp,
    ...more
  } = options
  const here = (url: string) => url.replace(world.issuer, at())
  const doorHere: JsonDoor = (request) => door({ ...request, url: here(request.url) })
  const streamsHere: StreamDoor = (request) => streams({ ...request, url: here(request.url) })
  const verifier = createVerifier({
    issuer: world.issuer,
    resource: WAREHOUSE,
    clock: world.clock,
    door: doorHere,
    streams: streamsHere,
    ...more,
    revocations: {
      clientId: client,
      sign: async (claims) =>
        sign({ key: testKey(`${client}-key`), header: { typ: 'client-authentication+jwt' }, claims }).reveal(),
      ...revocations,
    },
  })
  if (verifier.revocations === undefined) throw new Error('it does not follow')
  return verifier as FollowingVerifier
}

/** `believed`, or how it was refused. */
export async function verdict(verifier: Verifier, token: string): Promise<'believed' | TokenRefused['kind']> {
  try {
    await verifier.verify(token)
    return 'believed'
  } catch (error) {
    if (error instanceof TokenRefused) return error.kind
    throw error
  }
}
