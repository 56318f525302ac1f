/** The entry of the control feed that says which policy all brokers decide by. */

/** From here on this is the policy, for every broker. Whatever it takes away is cut off by entries of the same number. */
export interface PolicyEntry {
  readonly entry: 'policy'
  readonly id: typeof CURRENT_POLICY
  readonly version: string
  readonly seq: number
  readonly atMs: number
}
/** The one id of policy entries: the newest replaces all before it. */
export const CURRENT_POLICY = 'current'
