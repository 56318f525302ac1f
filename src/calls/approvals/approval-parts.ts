/** What approvals need of the broker beside its sessions. */
import type { WindowStore } from '../../store/call-ports.ts'
import type { IndexStore } from '../../store/ports.ts'

export interface ApprovalParts {
  readonly windows: Pick<WindowStore, 'take'>
  readonly indexes: Pick<IndexStore, 'add' | 'list'>
  /** Whether this admin may still approve. */
  stillApproves(principal: string): boolean
}
