/** What others wrote, in messages of ours: short, and without what could forge a line of a log or steer a terminal. */

const SHOWN_CHARS_MAX = 512
/** Three dotted parts that long are a token, wherever they come from. */
const SECRETS = /[\w-]{16,}\.[\w-]{16,}\.[\w-]*/g

export function plain(text: string): string {
  const visible = text.slice(0, SHOWN_CHARS_MAX).replace(/[^\x20-\x7e]/g, '?')
  return visible.replace(SECRETS, '[secret]')
}

/** Of data that somebody may act on: every script, since a changed letter is another value. `undefined`: it is not plain, or long. */
export function plainData(text: string): string | undefined {
  if (text.length > SHOWN_CHARS_MAX || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text)) return undefined
  return text.search(SECRETS) < 0 ? text : undefined
}
