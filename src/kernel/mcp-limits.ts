/** Bounds of what stands before an MCP server: the server's own process, not the broker's. */

/** One POST to an MCP server, as its SDK takes them. */
export const MCP_BODY_BYTES_MAX = 4 * 1024 * 1024
/** Messages of one batch: each call of it is judged, in live mode by a question to the broker. */
export const MCP_BATCH_MAX = 64
/** MCP sessions whose holder is remembered, about 200 bytes each; of more, the oldest are not told apart any longer. */
export const MCP_SESSIONS_MAX = 50_000
/** Of an answer, or of one event of a stream, that is read for how a call ended: of a longer one nothing is told. */
export const MCP_ANSWER_CHARS_MAX = 8 * 1024 * 1024
