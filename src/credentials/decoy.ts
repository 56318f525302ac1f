/**
 * Work for nothing: one signature verification whose result is thrown away, so that an unknown client or key takes about as
 * long to refuse as a wrong signature, and the time of an answer does not tell which clients exist.
 */
import { decodeJwt } from '../jose/decode-jws.ts'
import { importPublicJwk } from '../jose/jwk.ts'
import { JwtError } from '../jose/jwt-error.ts'
import { KeySet } from '../jose/key-set.ts'
import { verifyJws } from '../jose/verify-jws.ts'
import { Secret } from '../kernel/secret.ts'

/** RFC 7515 appendix A.3: a published key and a signature that is valid, so that verification runs to its end. */
const KEYS = KeySet.of([
  importPublicJwk({
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  }),
])
const TOKEN = new Secret(
  'eyJhbGciOiJFUzI1NiJ9' +
    '.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ' +
    '.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
)

/**
 * Where a JWT was refused before any signature was checked: makes up for the time, so that a stranger cannot list who is
 * registered here and with which keys.
 */
export async function makeUpFor(error: unknown): Promise<void> {
  if (error instanceof JwtError && (error.code === 'key' || error.code === 'algorithm')) await verifyDecoy()
}

/** Resolves after one ES256 verification; rejects if the decoy itself should ever fail to verify, a fault of ours. */
export async function verifyDecoy(): Promise<void> {
  await verifyJws(decodeJwt(TOKEN), { keys: KEYS, algorithms: ['ES256'] })
}
