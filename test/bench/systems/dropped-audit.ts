/** The audit stubbed out: no record and no text reaches a store, nothing is sequenced. What is left is what an exchange costs without. */
import { Sequencer } from '../../../src/audit/log/sequencer.ts'
import type { Commit } from '../../../src/model/commit.ts'
import { EmbeddedAudit } from '../../../src/store/embedded-audit.ts'
import { EmbeddedSessions } from '../../../src/store/embedded-sessions.ts'
import { RedisAudit } from '../../../src/store/redis-audit.ts'
import { RedisSessions } from '../../../src/store/redis-sessions.ts'

export function dropAudit(): void {
  for (const { prototype } of [EmbeddedAudit, RedisAudit]) {
    prototype.append = async () => undefined
    prototype.appendStrangers = async () => undefined
  }
  for (const { prototype } of [EmbeddedSessions, RedisSessions]) {
    const { commit } = prototype
    prototype.commit = function drop(this: typeof prototype, { contents: _, ...rest }: Commit) {
      return Reflect.apply(commit, this, [{ ...rest, audit: undefined }])
    } as typeof commit
  }
  Sequencer.prototype.start = () => undefined
  Sequencer.prototype.tick = async () => undefined
}
