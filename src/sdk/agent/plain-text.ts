/** What others wrote, in messages of ours: short, and without what could forge a line of a log or steer a terminal. */

const SHOWN_CHARS_MAX = 512

export function plain(text: string): string {
  const visible = text.slice(0, SHOWN_CHARS_MAX).replace(/[^\x20-\x7e]/g, '?')
  // Three dotted parts that long are a token, wherever they come from.
  return visible.replace(/[\w-]{16,}\.[\w-]{16,}\.[\w-]*/g, '[secret]')
}
