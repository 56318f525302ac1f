/**
 * What a burst of calls asks of the broker: the agent library, a broker with its records, and an MCP server that takes the token,
 * all in this process, on a clock that can be moved to the token's end. Exchanges are counted in the broker's own records.
 */
import { agentWorld, toolCall } from '../support/agent-world.ts'
import { startWorld, WAREHOUSE } from '../support/world.ts'

const CALLS = 1_000
/** The broker's access tokens live this long. */
const LIFE_S = 300

export interface BurstFigures {
  readonly calls: number
  /** Of the burst: the token before it is another. */
  readonly exchanges: number
}

export async function burst(): Promise<BurstFigures> {
  const world = await startWorld()
  try {
    const here = agentWorld(world, { warehouse: WAREHOUSE })
    here.stands = async (request) =>
      new Response(null, { status: request.headers.get('authorization')?.startsWith('Bearer ') === true ? 200 : 401 })
    const session = await here.agent('orchestrator').openSession({
      intent: { purpose: 'Look at the tables', expiresIn: 3_000, tools: { [WAREHOUSE]: { list_tables: {} } } },
      onBehalfOf: world.idToken(),
    })
    const exchanges = async () =>
      (await world.audit(50)).filter((one) => one.event === 'token.continue' && one.session === session.id).length
    const call = async () => {
      const { status } = await session.fetch(WAREHOUSE, toolCall('list_tables'))
      if (status !== 200) throw new Error(`a call was answered with ${status}`)
    }
    await call()
    const before = await exchanges()
    await world.advance(LIFE_S)
    await Promise.all(Array.from({ length: CALLS }, call))
    const tokens = new Set(here.called.map(({ authorization }) => authorization))
    if (tokens.size !== 2) throw new Error(`two tokens were to be used, and ${tokens.size} were`)
    return { calls: CALLS, exchanges: (await exchanges()) - before }
  } finally {
    await world.close()
  }
}
