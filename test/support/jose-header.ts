/**
 * A JOSE header in a text, with what follows it or by its first member (RFC 7515 §3.1, §4.1). Not `eyJ` alone, with which one in
 * some thousand random ids would do.
 */
export const JOSE_HEADER = /eyJ(?:hbGciOi|0eXAiOi|raWQiOi)|eyJ[\w-]{8,}\.[\w-]/
