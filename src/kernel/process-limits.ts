/** Every bound of a broker as a process, and of the processes of one: the unit is in the name, the reason beside it. */

// --- Operations ------------------------------------------------------------------------------------------------------
/** From the signal on: so long for requests in flight, and so long for everything, closing included. */
export const SHUTDOWN_GRACE_MS = 7_000
export const SHUTDOWN_MS_MAX = 9_500
/** How often the broker looks at its own readiness, to log that it changed. */
export const READINESS_WATCH_MS = 1_000
/** From this long before its end on, a certificate is warned of each day; its files are looked at this often. */
export const CERTIFICATE_WARNING_S = 14 * 24 * 3600
export const CERTIFICATE_WATCH_MS = 5_000
/** Log lines that say the same are written once per this, with their number; so many kinds are told apart. */
export const LOG_REPEAT_MS = 1_000
export const LOG_REPEAT_KEYS_MAX = 256
/** How often a broker that stops closes the connections that have become idle. */
export const SHUTDOWN_POLL_MS = 50

// --- Workers --------------------------------------------------------------------------------------------------------
/** Processes of one `errand serve`: more than a machine has cores for only wait for each other. */
export const WORKERS_MAX = 64
/** A worker says that it lives this often, and is killed and replaced when it has not for so long: it may hold a lock. */
export const WORKER_ALIVE_MS = 1_000
export const WORKER_SILENCE_MS_MAX = 10_000
/** One that has lived so long was not started in vain. */
export const WORKER_STEADY_MS = 10_000
/** So many deaths in a row of workers that were not steady: starting another would not help. */
export const WORKER_DEATHS_MAX = 5
/** Before the next is started: doubled with each death in a row. */
export const WORKER_RESTART_MS = 200
