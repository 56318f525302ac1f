/** What `@peculiar/x509` asks of its runtime before it is imported: metadata on classes, kept by class, member and key. */
const metadata = new WeakMap<object, Map<string, unknown>>()

const keyOf = (key: unknown, member: unknown) => `${String(member)} ${String(key)}`

const getOwnMetadata = (key: unknown, target: object, member?: unknown): unknown =>
  metadata.get(target)?.get(keyOf(key, member))

const defineMetadata = (key: unknown, value: unknown, target: object, member?: unknown): void => {
  const own = metadata.get(target) ?? new Map<string, unknown>()
  metadata.set(target, own.set(keyOf(key, member), value))
}

Object.assign(Reflect, {
  getOwnMetadata,
  defineMetadata,
  getMetadata(key: unknown, target: object, member?: unknown): unknown {
    for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at)) {
      const found = getOwnMetadata(key, at, member)
      if (found !== undefined) return found
    }
    return undefined
  },
  hasOwnMetadata: (key: unknown, target: object, member?: unknown) => getOwnMetadata(key, target, member) !== undefined,
  metadata: (key: unknown, value: unknown) => (target: object, member?: unknown) =>
    defineMetadata(key, value, target, member),
})
