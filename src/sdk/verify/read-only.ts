/**
 * Values that nobody can change any more. What a token says is handed to every request that brings it: a handler that wrote into
 * it would give the next caller what was never signed.
 */

/**
 * The same value, frozen to its depth; maps and sets as copies that refuse to be written.
 * @param value of plain objects, arrays, maps, sets and scalars; without cycles, as everything is that came from JSON
 */
export function readOnly<T>(value: T): T {
  return sealed(value) as T
}

function sealed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Map) return new ReadOnlyMap(value)
  if (value instanceof Set) return new ReadOnlySet(value)
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) sealMember(value, at, value[at])
  } else {
    const members = value as Record<string, unknown>
    for (const name in members) sealMember(members, name, members[name])
  }
  return Object.freeze(value)
}

/** Most members are text, and most objects are sealed as they are. */
function sealMember<K extends string | number>(holder: Record<K, unknown>, name: K, member: unknown): void {
  if (typeof member !== 'object' || member === null || Object.isFrozen(member)) return
  const one = sealed(member)
  if (one !== member) holder[name] = one
}

function refuse(): never {
  throw new TypeError('what a token says cannot be changed')
}

class ReadOnlyMap<K, V> extends Map<K, V> {
  constructor(entries: Iterable<readonly [K, V]>) {
    super()
    for (const [key, value] of entries) super.set(key, readOnly(value))
    Object.freeze(this)
  }

  override set(): never {
    return refuse()
  }

  override delete(): never {
    return refuse()
  }

  override clear(): never {
    return refuse()
  }
}

class ReadOnlySet<T> extends Set<T> {
  constructor(members: Iterable<T>) {
    super()
    for (const member of members) super.add(member)
    Object.freeze(this)
  }

  override add(): never {
    return refuse()
  }

  override delete(): never {
    return refuse()
  }

  override clear(): never {
    return refuse()
  }
}
