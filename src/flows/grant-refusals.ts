/** Which family of errors a request's refusals belong to (DESIGN §5): evidence that is an authorization grant has its own. */
import { Rejection } from '../kernel/rejection.ts'
import { GRANT_TYPE } from '../protocol/oauth.ts'
import type { TokenRequest } from './token-request.ts'

/** Runs `work`; of a `jwt-bearer` request, what is wrong with its evidence is `invalid_grant` (RFC 7523 §3.1). */
export async function refusingAsGrant<T>({ grantType }: TokenRequest, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (grantType !== GRANT_TYPE.jwtBearer || !(error instanceof Rejection)) throw error
    const { reason, message, missing, retryAfterSeconds, cause } = error
    const waiting = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
    throw new Rejection(reason, message, { missing, cause, ofGrant: true, ...waiting })
  }
}
