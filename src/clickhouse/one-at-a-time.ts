/** Keeps the answers of an embedded engine apart. */
import type { ClickHouseClientConfigOptions } from '@clickhouse/client'

type Connection = NonNullable<ClickHouseClientConfigOptions['connection']>

/**
 * What a query had written before it failed, chDB puts before the answer to whatever asks next on that connection.
 * So statements take turns, as the engine has them do anyway, and a failed one is followed by one that nobody reads.
 */
export function oneAtATime (connection: Connection): Connection {
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <Parameters, Result> (step: (parameters: Parameters) => Promise<Result>) => async (parameters: Parameters): Promise<Result> => {
    const answer = turn.then(async () => await step(parameters))
    turn = answer.catch(async () => { await connection.command({ query: 'SELECT 1' }).catch(() => {}) })
    return await answer
  }
  return {
    query: inTurn(async parameters => await connection.query(parameters)),
    insert: inTurn(async parameters => await connection.insert(parameters)),
    command: inTurn(async parameters => await connection.command(parameters)),
    exec: inTurn(async parameters => await connection.exec(parameters)),
    ping: inTurn(async parameters => await connection.ping(parameters)),
    close: async () => { await turn; await connection.close() }
  }
}
