/** What every part of the benchmark is given. */

export interface Options {
  /** How often each thing is measured. */
  runs: number
  /** Length of one run of the accept benchmark. */
  seconds: number
  /** Batches in one run of the store benchmark. */
  batches: number
  /** Backup codes in one run of the verify benchmark. */
  codes: number
  /** Accounts of the privacy benchmark. */
  accounts: number
  /** Events of the backlog benchmark. */
  backlog: number
  /** Where the flame graph of a profile goes; empty for nowhere. */
  flame: string
  /** Tells how far it is. */
  say: (text: string) => void
}

/** Of the load generator, where it sends as fast as it can. */
export const connections = 64
