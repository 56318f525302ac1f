/** Members of JSON that came from elsewhere, of whatever type they are: what is not as expected is empty, never a fault. */
import { isJsonObject, parseStrictJson } from '../jose/strict-json.ts'
import { printable } from './terminal.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** `undefined`: the text is not JSON, or not an object. */
export function decodeObject(text: string): JsonObject | undefined {
  try {
    const value = parseStrictJson(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function jsonObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {}
}

export function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? printable(value) : undefined
}

/** Letter by letter, for what is hashed, or shown with care of its own: nothing in it was made harmless to a terminal. */
export function exactText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Not `Number(…)`: of an object, it calls what the object brings along. */
export function numberIn(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN
}
