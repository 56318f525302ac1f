/** `errand demo`: the whole story on this machine, in a checkout of the project. */
import { codeOf } from '../../kernel/fault.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure } from '../failures.ts'

export const demoCommand: CommandBody = {
  arguments: [],
  options: {},
  examples: ['errand demo'],
  notes: [
    'Starts a broker, an identity provider, two MCP servers and two agents on free loopback ports, and stops them all. Exit code 0 only if every step came out as told.',
  ],
  run: async () => {
    try {
      const { runDemo } = await import('./demo.ts')
      return await runDemo()
    } catch (fault) {
      // Its other parties are real products, and development dependencies.
      if (codeOf(fault) !== 'ERR_MODULE_NOT_FOUND') throw fault
      throw new CommandFailure(
        'the demo plays in a checkout of the project: clone it, then npm ci && npm run demo',
        fault,
      )
    }
  },
}
