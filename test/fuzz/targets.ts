/** Every parser of the broker, its commands and its SDK. */
import type { Target } from './harness.ts'
import { CERTIFICATE_TARGETS } from './targets-certificates.ts'
import { CLIENT_TARGETS } from './targets-clients.ts'
import { DOCUMENT_TARGETS } from './targets-documents.ts'
import { WIRE_TARGETS } from './targets-wire.ts'

export const TARGETS: readonly Target[] = [
  ...WIRE_TARGETS,
  ...DOCUMENT_TARGETS,
  ...CLIENT_TARGETS,
  ...CERTIFICATE_TARGETS,
]
