/** What differs where several replicas hold the tables: how they are made, and what an answer must be worth. */
import type { ClickHouseClient, ClickHouseSettings } from '@clickhouse/client'

/**
 * What was inserted is on a majority of replicas, and what is read comes from a replica that knows all of it. Sequential
 * reads need inserts one after the other: of two that meet in one table, one fails and is tried again.
 * Nothing is left out for having come before: that record and the rows could part at a crash, and the tables keep each row once anyway.
 */
export const onReplicas: Readonly<Record<'write' | 'read', ClickHouseSettings>> = {
  write: { insert_quorum: 'auto', insert_quorum_parallel: 0, insert_deduplicate: 0, select_sequential_consistency: '1', lightweight_deletes_sync: '2' },
  read: { select_sequential_consistency: '1' }
}

const target = /^((?:\s*--[^\n]*\n)*\s*(?:CREATE TABLE IF NOT EXISTS|CREATE VIEW IF NOT EXISTS|CREATE MATERIALIZED VIEW IF NOT EXISTS|CREATE OR REPLACE VIEW|ALTER TABLE|DROP TABLE IF EXISTS)\s+\w+)/
const movesRows = /^(?:\s*--[^\n]*\n)*\s*INSERT INTO\s/
const engine = /\bENGINE = (Replacing|)MergeTree\b/g

/**
 * A migration as a cluster needs it: on all its hosts, with engines that replicate. What moves rows runs once, since the rows replicate.
 * @throws for a statement of a kind that has not been thought of
 */
export function forCluster (statement: string, cluster: string): string {
  if (movesRows.test(statement)) return statement
  if (!target.test(statement)) throw new Error('a migration is of a kind that is not known to work on a cluster')
  return statement.replace(target, `$1 ON CLUSTER ${cluster}`).replace(engine, 'ENGINE = Replicated$1MergeTree')
}

/** @throws with one clear line when the server does not know the cluster, or it spreads rows over shards: then no read would see them all */
export async function checkCluster (client: ClickHouseClient, cluster: string): Promise<void> {
  const answer = await client.query({ query: 'SELECT uniqExact(shard_num) AS shards FROM system.clusters WHERE cluster = {cluster: String}', query_params: { cluster }, format: 'JSONEachRow' })
  const shards = Number((await answer.json<{ shards: number | string }>())[0]?.shards)
  if (shards !== 1) throw new Error(shards === 0 ? `CLICKHOUSE_CLUSTER ${cluster} is not known to the server` : `CLICKHOUSE_CLUSTER ${cluster} has several shards; the tables need one, with replicas`)
}
