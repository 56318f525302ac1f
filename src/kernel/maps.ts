/** Maps as the language will have them. */

interface Growing<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): unknown
}

/** The entry under `key`, made and put there where there is none (TC39 `Map.prototype.getOrInsertComputed`). */
export function getOrInsertComputed<K, V>(map: Growing<K, V>, key: K, compute: () => V): V {
  const present = map.get(key)
  if (present !== undefined) return present
  const made = compute()
  map.set(key, made)
  return made
}
