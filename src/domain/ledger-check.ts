/** What is wrong with the ledger as it is stored. */
import { emptyRecord, type Choice, type ConsentRecord } from './consent.ts'
import { canonicalJson, projectEntry, subjectKey, subjectOf, type LedgerEntry } from './ledger.ts'

/**
 * `hash`: an entry is not what was sealed. `chain`: it does not follow the one before it. `revision_missing`: an entry of
 * its subject is gone. `forked`: two entries claim one place. `sequence_missing`: an entry of a partition is gone.
 * `tail_missing`: a subject's last entry is gone. `partition`: an entry is filed where its subject's are not.
 * `place`: an entry's place is not the one it was given. `count_behind`: entries have places beyond the count in Redis, or
 * that is no count. `state`: the record in Redis is not what its entries tell.
 * `checkpoint_signature`, `checkpoint_broken`: a checkpoint is not what was signed, or the ledger not what it says.
 */
export type LedgerFault =
  'hash' | 'chain' | 'revision_missing' | 'forked' | 'sequence_missing' | 'tail_missing' | 'partition' |
  'place' | 'count_behind' | 'state' | 'checkpoint_signature' | 'checkpoint_broken'

/**
 * An entry and how it is filed. `sequence` is its place among all entries of its partition, 0 for entries of before there
 * were any. `isReadable`: whether all of it is what the service writes; what cannot be read of `entry` is left out of it.
 */
export interface FiledEntry { subject: string, entry: LedgerEntry, isReadable: boolean, previous: string, partition: number, sequence: number }

/** The text that an entry's hash seals: its canonical JSON without the hash. Its members are written in their order, not sorted: there are many entries. */
export function sealedText (entry: LedgerEntry): string {
  const { account_id, actor, decision, device_id, effective_at, entry_id, notice_version, prev_hash, purpose, recorded_at, revision, scope, verified_by, via } = entry
  const before = JSON.stringify({ account_id, actor, decision, device_id, effective_at, entry_id, notice_version, prev_hash, purpose, recorded_at, revision, scope, verified_by })
  return `${before.slice(0, -1)},"via":${via === null ? 'null' : canonicalJson(via)}}`
}

/** What each choice of a subject is, by `choiceKey`. */
type ToldChoices = ReadonlyMap<string, Choice>

/** `isRepeated`: it is the entry before it, which arrived twice. `choices`: what the chain tells until there; undefined once that can no longer be told. */
export interface Finding { isRepeated: boolean, fault: LedgerFault | undefined, choices: ToldChoices | undefined }

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
  let choices: Map<string, Choice> | undefined
  let last: FiledEntry | undefined
  /** The subject's furthest place. */
  let furthest = 0

  const begin = (next: string): void => {
    subject = next
    revision = 0
    ids = []
    hashes = ['']
    choices = new Map()
    last = undefined
    furthest = 0
  }

  /** What is wrong with where an entry stands in its chain. */
  const findBreak = ({ entry, previous }: FiledEntry): LedgerFault | undefined => {
    const hashesBefore = hashes
    const isFork = entry.revision === revision
    const isGap = !isFork && entry.revision !== revision + 1
    ids = isFork ? [...ids, entry.entry_id] : [entry.entry_id]
    hashes = isFork ? [...hashes, entry.hash] : [entry.hash]
    revision = entry.revision
    if (isFork || isGap) choices = undefined
    if (isFork) return 'forked'
    if (isGap) return 'revision_missing'
    if (!hashesBefore.includes(entry.prev_hash)) return 'chain'
    if (choices === undefined) return undefined
    const key = choiceKey(entry.scope, entry.purpose, entry.scope === 'device' ? entry.device_id ?? '' : '')
    const before = choices.get(key)
    choices.set(key, choiceAfter(before, entry))
    return previous !== '' && previous !== (before?.state ?? 'absent') ? 'chain' : undefined
  }

  /** What is wrong with an entry that lies where the one before it lies, if not all over again. */
  const findDifference = ({ previous, partition, sequence }: FiledEntry): LedgerFault | undefined => {
    if (last === undefined || (partition === last.partition && sequence === last.sequence)) return previous === last?.previous ? undefined : 'chain'
    return 'place'
  }

  /** One step writes an entry and gives it its place, so the places of a subject rise with its revisions. */
  const findMisplacement = ({ sequence }: FiledEntry): LedgerFault | undefined => {
    const isMisplaced = furthest > 0 && sequence <= furthest
    furthest = Math.max(furthest, sequence)
    return isMisplaced ? 'place' : undefined
  }

  return filed => {
    const { entry } = filed
    if (filed.subject !== subject) begin(filed.subject)
    const isRepeated = entry.revision === revision && ids.includes(entry.entry_id)
    const broken = isRepeated ? findDifference(filed) : findBreak(filed)
    const misplaced = isRepeated ? undefined : findMisplacement(filed)
    last = filed
    if (!filed.isReadable || seal(sealedText(entry)) !== entry.hash) {
      choices = undefined
      return { isRepeated, fault: 'hash', choices }
    }
    const isMisfiled = filed.subject !== subjectKey(subjectOf(entry)) || (filed.sequence > 0 && filed.partition !== partitionOf(filed.subject))
    return { isRepeated, fault: isMisfiled ? 'partition' : broken ?? misplaced, choices }
  }
}

/** Whether a record holds what its chain tells: each choice, since when, and when its last denial ended. */
export function isAsTold (record: ConsentRecord, choices: ToldChoices): boolean {
  const held = [
    ...Object.entries(record.account).map(([purpose, choice]) => [choiceKey('account', purpose, ''), choice] as const),
    ...Object.entries(record.devices).flatMap(([deviceId, device]) => Object.entries(device).map(([purpose, choice]) => [choiceKey('device', purpose, deviceId), choice] as const))
  ]
  return held.length === choices.size && held.every(([key, { state, since, deniedUntil }]) => {
    const told = choices.get(key)
    return told?.state === state && told.since === since && told.deniedUntil === deniedUntil
  })
}

function choiceKey (scope: string, purpose: string, deviceId: string): string {
  return `${scope} ${purpose} ${deviceId}`
}

/** One choice alone: a subject's whole record would be made anew for each of its entries. */
function choiceAfter (before: Choice | undefined, entry: LedgerEntry): Choice {
  const account = before === undefined ? {} : { [entry.purpose]: before }
  const { [entry.purpose]: after } = projectEntry({ ...emptyRecord, account }, { ...entry, scope: 'account' }).account
  if (after === undefined) throw new Error('an entry tells no choice')
  return after
}
