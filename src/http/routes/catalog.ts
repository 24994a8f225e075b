/** What is collected, why, and by whose decision: open to everybody. */
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import type { Catalog, Purpose } from '../../domain/catalog.ts'
import { showTime, shownTime } from '../shapes.ts'

export function showPurpose (purpose: Purpose): { id: string, title: string, description: string, required: boolean, legal_basis: string } {
  const { id, title, description, required, legalBasis } = purpose
  return { id, title, description, required, legal_basis: legalBasis }
}

export const purposeShape = z.object({ id: z.string(), title: z.string(), description: z.string(), required: z.boolean(), legal_basis: z.string() })

const answerShape = z.object({
  purposes: z.array(purposeShape),
  products: z.array(z.object({
    name: z.string(), title: z.string(), releases: z.object({ first: z.int(), last: z.int() }),
    account_wide_since: z.int(), overrides: z.record(z.string(), z.enum(['account', 'device']))
  })),
  events: z.array(z.object({
    name: z.string(), version: z.int(), purpose: z.string(), description: z.string(), owner: z.string(),
    justification: z.string().optional(), schema: z.record(z.string(), z.unknown())
  })),
  notices: z.array(z.object({
    version: z.string(), effective_from: shownTime, material: z.boolean(), purposes: z.array(z.string()).optional(),
    title: z.string(), text: z.string(), sha256: z.string()
  }))
})

export function catalogRoutes ({ catalog }: { catalog: Catalog }): FastifyPluginAsync {
  const answer: z.infer<typeof answerShape> = {
    purposes: catalog.purposes.map(showPurpose),
    products: [...catalog.products.values()].map(product => ({
      name: product.name,
      title: product.title,
      releases: { first: product.firstRelease, last: product.lastRelease },
      account_wide_since: product.accountWideSince,
      overrides: { ...product.overrides }
    })),
    events: [...catalog.events.values()].flatMap(versions => [...versions.values()]).map(event => ({
      name: event.name,
      version: event.version,
      purpose: event.purpose.id,
      description: event.description,
      owner: event.owner,
      ...(event.justification === undefined ? {} : { justification: event.justification }),
      schema: event.schema
    })),
    notices: catalog.notices.map(notice => ({
      version: notice.version,
      effective_from: showTime(notice.effectiveFrom),
      material: notice.material,
      ...(notice.purposes === null ? {} : { purposes: [...notice.purposes] }),
      title: notice.title,
      text: notice.text,
      sha256: notice.digest
    }))
  }
  return async app => {
    app.get('/v1/catalog', {
      config: { public: true },
      schema: { summary: 'What is collected, why, and by whose decision', tags: ['products'], response: { 200: answerShape } }
    }, async () => answer)
  }
}
