/**
 * There is no static admin key: one that opens the admin API for ever is in an environment, an image layer or a wiki page
 * before long, and names nobody. Whoever sets one believes it works, and that something is protected by it: that is said
 * loudly, at the start, instead of ignored.
 */
import { ConfigurationError } from '../registry/strict-document.ts'
import { variablesSet } from './environment.ts'

const INSTEAD =
  'there is no static admin key here; admins sign in at /admin/v1/login (setting admins), and errand admin token makes a token of ten minutes on this machine'

/** What people call one, in whatever product they had before. */
const ADMIN_KEY =
  /^(errand_)?(admin|management|master|root|bootstrap)_?((api|access|bearer)_?)?(key|token|secret|password)s?(_(file|path|hash))?$/i
const OWN_KEY = /^errand_(api_)?(key|token|secret|password)(_file)?$/i
const OWN_SETTING = /^api_?(key|token|secret)s?(_(file|path))?$/i

/** @throws ConfigurationError naming the variables */
export function assertNoStaticKeySet(names: readonly string[] = variablesSet()): void {
  const found = names.filter((name) => ADMIN_KEY.test(name) || OWN_KEY.test(name))
  if (found.length > 0) throw new ConfigurationError(found.map((name) => `environment: ${name} is set: ${INSTEAD}`))
}

/** A line for each setting of a configuration, known or not, that would be one. */
export function staticKeySettings(document: unknown): readonly string[] {
  return Object.entries(objectOf(document)).flatMap(([name, value]) => [
    ...(ADMIN_KEY.test(name) || OWN_SETTING.test(name) ? [`${name}: ${INSTEAD}`] : []),
    ...Object.keys(objectOf(value))
      .filter((member) => ADMIN_KEY.test(member))
      .map((member) => `${name}.${member}: ${INSTEAD}`),
  ])
}

function objectOf(value: unknown): object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}
