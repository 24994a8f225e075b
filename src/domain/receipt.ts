/** A receipt for one entry of the ledger, with the fields of a consent record (after ISO/IEC TS 27560:2023). */
import type { Catalog, Purpose } from './catalog.ts'
import { subjectKey, subjectOf, type LedgerEntry } from './ledger.ts'
import type { Notice } from './notice.ts'

/** Who answers for the data. `name` is null where the service was not told one. */
export interface Controller { name: string | null, contact: string }

export type Receipt = Record<string, unknown>

const showTime = (ms: number): string => new Date(ms).toISOString()

/**
 * States what the ledger and the catalogue know, and leaves out what they do not: where data lies and how long it is
 * kept is the controller's to say. `previous`: the state that the entry ended, empty where that was not kept.
 * `issuedAt`: epoch ms; what is described is described as it is then.
 */
export function makeReceipt (
  { entry, previous }: { entry: LedgerEntry, previous: string }, catalog: Catalog, controller: Controller, receiptId: string, issuedAt: number
): Receipt {
  const subject = subjectOf(entry)
  const purpose = catalog.purposes.find(({ id }) => id === entry.purpose)
  return {
    record_metadata: {
      schema_version: 'ISO/IEC TS 27560:2023',
      record_id: entry.entry_id,
      receipt_id: receiptId,
      issued_at: showTime(issuedAt),
      pii_principal_id: subjectKey(subject).slice(2),
      pii_principal_kind: subject.kind
    },
    pii_processing: {
      ...privacyNotice(catalog.notices, entry),
      purposes: [{
        purpose: entry.purpose,
        ...describePurpose(catalog, purpose),
        scope: entry.scope,
        ...(entry.scope === 'device' ? { device_id: entry.device_id } : {}),
        pii_controllers: ['controller'],
        withdrawal_method: entry.account_id === null
          ? [`PUT /v1/devices/${entry.device_id ?? ''}/privacy`]
          : ['POST /v1/me/privacy/stop', 'PATCH /v1/me/privacy'],
        privacy_rights: entry.account_id === null
          ? [{ right: 'withdrawal', exercised_at: `/v1/devices/${entry.device_id ?? ''}/privacy` }]
          : [
              { right: 'withdrawal', exercised_at: '/v1/me/privacy/stop' },
              { right: 'access and portability', exercised_at: '/v1/me/export' },
              { right: 'erasure', exercised_at: '/v1/me/erasure' }
            ]
      }]
    },
    party_identification: [
      {
        party_id: 'controller', party_role: 'PII controller', ...(controller.name === null ? {} : { party_name: controller.name }), party_email: controller.contact
      }
    ],
    events: [{
      event_time: showTime(entry.effective_at),
      recorded_at: showTime(entry.recorded_at),
      ...eventOf(entry, previous),
      entity_id: entry.actor,
      verified_by: entry.verified_by
    }],
    proof: { ledger_revision: entry.revision, hash: entry.hash, prev_hash: entry.prev_hash }
  }
}

function describePurpose (catalog: Catalog, purpose: Purpose | undefined): Record<string, unknown> {
  if (purpose === undefined) return {} // It has left the catalogue.
  return {
    purpose_title: purpose.title,
    purpose_description: purpose.description,
    purpose_type: purpose.required ? 'required' : 'optional',
    lawful_basis: purpose.legalBasis,
    pii_information: informationFor(catalog, purpose.id),
    collection_method: 'Sent by the products that the events belong to',
    processing_method: 'Stored under pseudonyms of the account and the device',
    data_on_withdrawal: purpose.onWithdrawal
  }
}

/** The events that are collected for a purpose, and the fields of others that are. */
function informationFor (catalog: Catalog, purposeId: string): Array<Record<string, unknown>> {
  return [...catalog.events.values()].flatMap(versions => [...versions.values()]).flatMap(({ name, version, purpose, description, gatedFields }) => {
    const fields = gatedFields.filter(field => field.purpose === purposeId).map(({ pointer }) => pointer)
    if (purpose.id === purposeId) return [{ pii_type: name, version, description }]
    return fields.length === 0 ? [] : [{ pii_type: name, version, description, only: fields }]
  })
}

/** What the person named, or else what was in force, which is what counts. */
function privacyNotice (notices: readonly Notice[], { notice_version: named, effective_at: at }: LedgerEntry): Record<string, unknown> {
  const notice = named === null ? notices.findLast(({ effectiveFrom }) => effectiveFrom <= at) : notices.find(({ version }) => version === named)
  if (notice === undefined) return named === null ? {} : { privacy_notice: { version: named, published: false } }
  const { version, title, digest, effectiveFrom } = notice
  return { privacy_notice: { version, published: true, title, sha256: digest, effective_from: showTime(effectiveFrom), named_by: named === null ? 'time' : 'person' } }
}

function eventOf ({ decision }: LedgerEntry, previous: string): { event_type: string, event_state: string, validity_duration?: string } {
  if (decision === 'granted') {
    return { event_type: 'explicit_consent', event_state: 'consent_given', validity_duration: 'until withdrawn, or until a notice that changes what it is about' }
  }
  if (previous === 'granted') return { event_type: 'withdrawal', event_state: 'consent_withdrawn' }
  return decision === 'denied' ? { event_type: 'refusal', event_state: 'consent_refused' } : { event_type: 'choice_cleared', event_state: 'no_choice' }
}
