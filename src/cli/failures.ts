/** How a command ends other than well, in words for the person at the keyboard. */

/** The command line, or a file it names, is not as it should be: exit code 2. The message never quotes a token. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** What was asked for did not happen, for a reason a person can act on: exit code 1. */
export class CommandFailure extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'CommandFailure'
  }
}
