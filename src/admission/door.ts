/**
 * Allowances and places of strangers are kept apart by what is asked: a flood of token requests takes nothing from whoever
 * comes, from the same address and for the first time, to revoke.
 */
export type Door = 'token' | 'revoke' | 'sessions' | 'login'
