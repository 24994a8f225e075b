/** Someone gets a signed receipt for what was agreed to, refused or withdrawn. */
import type { Catalog } from '../domain/catalog.ts'
import { showHead } from '../domain/ledger-head.ts'
import type { Subject } from '../domain/ledger.ts'
import { makeReceipt, type Controller, type Receipt } from '../domain/receipt.ts'
import type { LedgerPages } from './export-ports.ts'
import type { LedgerProgress } from './ports.ts'

export interface IssueReceiptDeps {
  catalog: Catalog
  controller: Controller
  ledger: LedgerPages
  progress: LedgerProgress
  sign: (document: Record<string, unknown>, type: string) => Promise<string>
  now: () => number
  newId: () => string
}

export interface SignedReceipt { receipt: Receipt, signature: string, ledger_head: ReturnType<typeof showHead> }

/** The receipt of an entry, of `subject` where one is given; undefined when there is no such entry. */
export type IssueReceipt = (entryId: string, subject?: Subject) => Promise<SignedReceipt | undefined>

export function makeIssueReceipt (deps: IssueReceiptDeps): IssueReceipt {
  return async (entryId, subject) => {
    const head = await deps.progress.caughtUp()
    const found = await deps.ledger.find(entryId, subject)
    if (found === undefined) return undefined
    const receipt = makeReceipt(found, deps.catalog, deps.controller, deps.newId(), deps.now())
    return { receipt, signature: await deps.sign(receipt, 'consent-receipt+jws'), ledger_head: showHead(head) }
  }
}
