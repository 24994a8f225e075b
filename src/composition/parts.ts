/** What the compositions of a process share. */
import type { randomUUID } from 'node:crypto'
import type { RedisClient } from '../redis/servers.ts'
import type { Logger } from 'pino'
import type { RegionalDefault } from '../catalog/load-region-policy.ts'
import type { Config } from '../config.ts'
import type { SealedBox } from '../crypto/sealed-box.ts'
import type { Secrets } from '../crypto/secrets.ts'
import type { Catalog } from '../domain/catalog.ts'
import type { TombstoneStore } from '../flows/erasure-ports.ts'
import type { ConsentStore, DeviceRegister, PolicyStore, QueueBooks } from '../flows/ports.ts'
import type { PostOffice } from '../mail/post-office.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Trouble } from '../metrics/troubles.ts'
import type { Tracing } from '../tracing/tracing.ts'

export interface Parts {
  config: Config
  logger: Logger
  /** Run in reverse when the process ends. */
  closers: Array<() => Promise<unknown>>
  /** Where the catalogue was read. */
  schemasDir: string
  catalog: Catalog
  regionalDefault: RegionalDefault
  privacyContact: string
  redis: RedisClient
  redisForWorker: () => RedisClient
  secrets: Secrets
  box: SealedBox
  /** A keyed hash under VERIFICATION_PEPPER. */
  pepper: (text: string) => string
  consents: ConsentStore & PolicyStore & TombstoneStore
  devices: DeviceRegister
  queueBooks: QueueBooks
  postOffice: PostOffice
  metrics: Metrics
  /** Undefined where no collector of traces is named. */
  tracing: Tracing | undefined
  /** Counts and logs what should not happen. */
  tell: (what: Trouble, error?: unknown) => void
  now: () => number
  newId: typeof randomUUID
}
