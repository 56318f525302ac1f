/** State of the demo's OpenID provider: one map per provider, forgotten when it stops. */

interface Payload {
  readonly uid?: string
  readonly grantId?: string
  consumed?: number
}

interface Kept {
  readonly payload: Payload
  readonly expiresAt: number
}

/** @param nowS epoch seconds. */
export function identityMemory(nowS: () => number) {
  const kept = new Map<string, Kept>()

  const find = (key: string): Payload | undefined => {
    const entry = kept.get(key)
    return entry !== undefined && entry.expiresAt > nowS() ? entry.payload : undefined
  }

  /** oidc-provider's adapter contract, one instance per model. */
  return class {
    readonly #model: string

    constructor(model: string) {
      this.#model = model
    }

    async upsert(id: string, payload: Payload, expiresInSeconds: number): Promise<void> {
      kept.set(`${this.#model}:${id}`, { payload, expiresAt: nowS() + expiresInSeconds })
    }

    async find(id: string): Promise<Payload | undefined> {
      return find(`${this.#model}:${id}`)
    }

    async findByUid(uid: string): Promise<Payload | undefined> {
      for (const key of kept.keys()) {
        const payload = key.startsWith(`${this.#model}:`) ? find(key) : undefined
        if (payload?.uid === uid) return payload
      }
      return undefined
    }

    async findByUserCode(): Promise<undefined> {
      return undefined
    }

    async consume(id: string): Promise<void> {
      const payload = find(`${this.#model}:${id}`)
      if (payload !== undefined) payload.consumed = nowS()
    }

    async destroy(id: string): Promise<void> {
      kept.delete(`${this.#model}:${id}`)
    }

    async revokeByGrantId(grantId: string): Promise<void> {
      for (const [key, entry] of kept) if (entry.payload.grantId === grantId) kept.delete(key)
    }
  }
}
