/** A product asks what it may collect, so that it can refrain from collecting at all. */
import type { Catalog } from '../domain/catalog.ts'
import { makePermissions } from './judge-batch.ts'
import { readStanding, type BatchOwner, type ConsentReader } from './ports.ts'

export interface ConsentAnswer {
  revision: number
  decisions: Record<string, { allowed: boolean, reason: string }>
  required: string[]
}

export type AskConsent = (owner: BatchOwner, product: { name: string, release: number }) => Promise<ConsentAnswer>

export function makeAskConsent ({ catalog, consents, now }: { catalog: Catalog, consents: ConsentReader, now: () => number }): AskConsent {
  return async (owner, product) => {
    const standing = await readStanding(consents, owner)
    const permissionOf = makePermissions(catalog, standing, product, now())
    return {
      revision: (standing.account ?? standing.deviceAlone)?.revision ?? 0,
      decisions: Object.fromEntries(catalog.purposes.map(({ id }) => {
        const { allowed, reason } = permissionOf(id)
        return [id, { allowed, reason }]
      })),
      required: catalog.purposes.filter(purpose => purpose.required).map(purpose => purpose.id)
    }
  }
}
