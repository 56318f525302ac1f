/** What may be said of something thrown, whatever it is: Node's code of it, or its message; never the object with all it holds. */

export function codeOf(fault: unknown): string {
  return fault instanceof Error && 'code' in fault ? String(fault.code) : 'unknown fault'
}

export function messageOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : 'unknown fault'
}
