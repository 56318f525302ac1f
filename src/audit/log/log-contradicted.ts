/** Why nothing is signed: the log is not what it was, or nobody here may. */
import type { Tree } from '../../tlog/proofs.ts'

/** The log is not what was signed of it. */
export class LogContradicted extends Error {
  /** `rolled_back`: it is shorter; `forked`: it is another. */
  readonly how: 'rolled_back' | 'forked'
  /** What was signed of it, as far as is known; a witness tells the size alone. */
  readonly signed: (Pick<Tree, 'size'> & Partial<Tree>) | undefined

  constructor(how: LogContradicted['how'], message: string, signed?: Pick<Tree, 'size'> & Partial<Tree>) {
    super(message)
    this.name = 'LogContradicted'
    this.how = how
    this.signed = signed
  }
}

/** This machine has no key to sign the log with, yet: it leaves that to others. */
export class NoLogKey extends Error {
  constructor() {
    super('there is no key here that signs the audit log')
    this.name = 'NoLogKey'
  }
}
