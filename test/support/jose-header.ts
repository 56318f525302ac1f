/**
 * A JOSE header in a text, with what follows it or by its first member (RFC 7515 §3.1, §4.1); claims by theirs. Not `eyJ`
 * alone, with which one in some thousand random ids would do.
 */
export const JOSE_HEADER = /eyJ(?:hbGciOi|0eXAiOi|raWQiOi|qd2siOi|lbmMiOi|pc3MiOi|zdWIiOi|hdWQiOi)|eyJ[\w-]{8,}\.[\w-]/
