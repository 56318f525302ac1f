/** Values as they stand in the YAML that commands write: plain where that is unambiguous, else quoted as JSON. */

/** Words that YAML readers of some version take for something else than text. */
const NOT_TEXT = ['true', 'false', 'null', 'yes', 'no', 'on', 'off', 'y', 'n']

export function yamlText(text: string): string {
  const isPlain =
    /^[A-Za-z][A-Za-z0-9_@./:+-]*[A-Za-z0-9_@/]$|^[A-Za-z]$/.test(text) && !NOT_TEXT.includes(text.toLowerCase())
  return isPlain ? text : JSON.stringify(text)
}

/** `{ kid: agent-1, version: "1" }` */
export function yamlFlowMap(members: Readonly<Record<string, string | readonly string[]>>): string {
  return `{ ${Object.entries(members)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? yamlText(value) : yamlFlowList(value)}`)
    .join(', ')} }`
}

export function yamlFlowList(items: readonly string[]): string {
  return `[${items.map(yamlText).join(', ')}]`
}
