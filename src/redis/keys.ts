/** Names of keys. What one atomic step touches shares a partition, so that Redis Cluster keeps it on one node. */
import { crc32 } from 'node:zlib'

export const partitionCount = 16

/** The partition of a subject or an account, 0 to 15. */
export function partitionOf (name: string): number {
  return crc32(name) % partitionCount
}

export function keyIn (partition: number, kind: string, name?: string): string {
  return `assent:{${String(partition)}}:${kind}${name === undefined ? '' : `:${name}`}`
}

/** The partition that a subject's keys and its account's keys share. */
export function accountPartition (accountId: string): number {
  return partitionOf(`a:${accountId}`)
}

/** Says that this Redis holds all that the ledger tells. It goes with whatever else is lost. */
export const wholeKey = keyIn(0, 'whole')
