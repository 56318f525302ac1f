/** Every bound of publishing and loading a policy: the unit is in the name, the reason beside it. */

/** One policy, as JSON: a hundred thousand grants are a quarter of it. */
export const POLICY_BYTES_MAX = 128 * 1024 * 1024
/** Versions of the policy that are kept: what decisions of older ones were made from can no longer be looked up. */
export const POLICY_VERSIONS_MAX = 256
/** Versions that a process holds decoded: the one published, and those just asked about. */
export const POLICY_LOADED_MAX = 3
/** How long a broker may decide by the version before, until what is published has been loaded; then it issues nothing. */
export const POLICY_LOAD_MS_MAX = 10_000
export const POLICY_RETRY_MS = 250
/** How often a publication looks again at what others have published in the meantime. */
export const POLICY_ATTEMPTS_MAX = 8
/**
 * How long a cut-off that takes access tokens only is kept: as long as one lives that a broker minted, by the version before,
 * right up to where it must have loaded the new one; twice over, because clocks differ.
 */
export const ACCESS_CUTOFF_S = 1_800
/** How long a draft may run in shadow; then it is off by itself. */
export const SHADOW_DAYS_MAX = 30
/** How often a broker looks which draft runs in shadow, and writes what it has counted of it. */
export const SHADOW_LOOK_MS = 2_000
/** The body of `POST /admin/v1/policy`, read for those only who may publish. */
export const POLICY_BODY_BYTES_MAX = 64 * 1024 * 1024
/**
 * How long an agent is issued tokens after its owner has left: a review once a week finds it within seven days, and leaves as many
 * to find who answers for it now. Nobody who has left has authority in an organisation for longer than that.
 */
export const ORPHAN_GRACE_DAYS_DEFAULT = 14
export const ORPHAN_GRACE_DAYS_MAX = 365
/**
 * After how many asks outside its intent a session is contracted, and halted: an agent that tries another way once or twice is
 * none that has lost its way.
 */
export const DRIFT_CONTRACT_AFTER_DEFAULT = 5
export const DRIFT_HALT_AFTER_DEFAULT = 10
export const DRIFT_AFTER_MAX = 1_000
/** Over how long those of one agent for one subject are counted together, whatever sessions they were in. */
export const DRIFT_WINDOW_S_DEFAULT = 3600
export const DRIFT_WINDOW_S_MAX = 7 * 24 * 3600
/** How often a broker looks whether the policy has changed, and whose owner has left with it. */
export const ORPHAN_LOOK_MS = 2_000
