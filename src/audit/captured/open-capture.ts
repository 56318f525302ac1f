/** What captures, and the data keys that it takes and that those who read need. */
import type { Clock } from '../../kernel/clock.ts'
import type { KeyEncryptionKeys } from '../../keys/key-encryption-keys.ts'
import type { CaptureSettings } from '../../model/captured.ts'
import type { DocumentStore } from '../../store/ports.ts'
import { Capture } from './capture.ts'
import { DataKeys } from './data-keys.ts'

export interface CaptureParts {
  readonly capture: Capture
  readonly dataKeys: DataKeys
}

export function openCapture(
  settings: CaptureSettings,
  keks: KeyEncryptionKeys,
  parts: { readonly documents: DocumentStore; readonly clock: Clock },
): CaptureParts {
  const dataKeys = new DataKeys(keks, parts.documents, parts.clock)
  return { capture: new Capture(settings, dataKeys), dataKeys }
}
