/** Of a configuration, whom the broker asks or tells something by itself: each is named there, or is not spoken to. */
import type { Config } from './config.ts'
import type { ConfigDocument } from './schema.ts'

export function externalPdpOf(
  given: ConfigDocument['external_pdp'],
  absolute: (path: string) => string,
): Pick<Config, 'externalPdp'> {
  if (given === undefined) return {}
  const file = (path: string | undefined) => (path === undefined ? undefined : absolute(path))
  const { url, timeout_ms: timeoutMs } = given
  const externalPdp = { url, timeoutMs, credentialFile: file(given.credential_file), caFile: file(given.ca_file) }
  return { externalPdp: Object.freeze(externalPdp) }
}

export function telemetryOf(
  given: ConfigDocument['telemetry'],
  absolute: (path: string) => string,
): Pick<Config, 'telemetry'> {
  if (given === undefined) return {}
  const file = (path: string | undefined) => (path === undefined ? undefined : absolute(path))
  const { otlp_endpoint: otlpEndpoint, sample_ratio: sampleRatio, headers_file, ca_file } = given
  const telemetry = { otlpEndpoint, sampleRatio, headersFile: file(headers_file), caFile: file(ca_file) }
  return { telemetry: Object.freeze(telemetry) }
}
