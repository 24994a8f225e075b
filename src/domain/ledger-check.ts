/** What is wrong with the ledger as it is stored. */
import { canonicalJson, subjectKey, subjectOf, type LedgerEntry } from './ledger.ts'

/**
 * `hash`: an entry is not what was sealed. `chain`: it does not follow the one before it. `revision_missing`: an entry of
 * its subject is gone. `forked`: two entries claim one place. `sequence_missing`: an entry of a partition is gone.
 * `tail_missing`: a subject's last entry is gone. `partition`: an entry is filed where its subject's are not.
 * `checkpoint_signature`, `checkpoint_broken`: a checkpoint is not what was signed, or the ledger not what it says.
 */
export type LedgerFault =
  'hash' | 'chain' | 'revision_missing' | 'forked' | 'sequence_missing' | 'tail_missing' | 'partition' |
  'checkpoint_signature' | 'checkpoint_broken'

/** An entry and how it is filed. `sequence` is its place among all entries of its partition, 0 for entries of before there were any. */
export interface FiledEntry { subject: string, entry: LedgerEntry, previous: string, partition: number, sequence: number }

/** The text that an entry's hash seals: its canonical JSON without the hash. Its members are written in their order, not sorted: there are many entries. */
export function sealedText (entry: LedgerEntry): string {
  const { account_id, actor, decision, device_id, effective_at, entry_id, notice_version, prev_hash, purpose, recorded_at, revision, scope, verified_by, via } = entry
  const before = JSON.stringify({ account_id, actor, decision, device_id, effective_at, entry_id, notice_version, prev_hash, purpose, recorded_at, revision, scope, verified_by })
  return `${before.slice(0, -1)},"via":${via === null ? 'null' : canonicalJson(via)}}`
}

/** `isRepeated`: it is the entry before it, which arrived twice. */
export interface Finding { isRepeated: boolean, fault: LedgerFault | undefined }

export interface ChainCheckTools {
  /** HMAC of a text under the ledger's key, in hex. */
  seal: (text: string) => string
  partitionOf: (subject: string) => number
}

/** Looks at entries one by one, in the order of subject, revision and id, and says of each what is wrong with it. */
export function makeChainCheck ({ seal, partitionOf }: ChainCheckTools): (filed: FiledEntry) => Finding {
  let subject: string | undefined
  let revision = 0
  /** The entries of the current revision: more than one where the chain is forked. */
  let ids: string[] = []
  let hashes: string[] = ['']
  /** What each choice was, by place; undefined once that can no longer be told. */
  let states: Map<string, string> | undefined

  const begin = (next: string): void => {
    subject = next
    revision = 0
    ids = []
    hashes = ['']
    states = new Map()
  }

  /** What is wrong with where an entry stands in its chain. */
  const findBreak = ({ entry, previous }: FiledEntry): LedgerFault | undefined => {
    const hashesBefore = hashes
    const isFork = entry.revision === revision
    const isGap = !isFork && entry.revision !== revision + 1
    ids = isFork ? [...ids, entry.entry_id] : [entry.entry_id]
    hashes = isFork ? [...hashes, entry.hash] : [entry.hash]
    revision = entry.revision
    if (isFork || isGap) states = undefined
    if (isFork) return 'forked'
    if (isGap) return 'revision_missing'
    if (!hashesBefore.includes(entry.prev_hash)) return 'chain'
    if (states === undefined) return undefined
    const place = `${entry.scope} ${entry.purpose} ${entry.scope === 'device' ? entry.device_id ?? '' : ''}`
    const before = states.get(place) ?? 'absent'
    states.set(place, entry.decision)
    return previous !== '' && previous !== before ? 'chain' : undefined
  }

  return filed => {
    const { entry } = filed
    if (filed.subject !== subject) begin(filed.subject)
    const isRepeated = entry.revision === revision && ids.includes(entry.entry_id)
    const broken = isRepeated ? undefined : findBreak(filed)
    if (seal(sealedText(entry)) !== entry.hash) {
      states = undefined
      return { isRepeated, fault: 'hash' }
    }
    const isMisfiled = filed.subject !== subjectKey(subjectOf(entry)) || (filed.sequence > 0 && filed.partition !== partitionOf(filed.subject))
    return { isRepeated, fault: isMisfiled ? 'partition' : broken }
  }
}
