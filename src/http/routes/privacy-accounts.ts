/** What people had agreed to at a moment: one, all of them, or a list for one purpose. */
import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { showHead } from '../../domain/ledger-head.ts'
import type { AccountThen, AnswerPrivacy } from '../../flows/answer-privacy.ts'
import type { Cursors } from '../cursors.ts'
import { Problem } from '../problem.ts'
import { deviceIdShape, plainIdShape, productShape, showTime, shownTime } from '../shapes.ts'
import { choicesShape, clocksOf, clocksShape, cursorShape, headShape, limitShape, purposeShape, questionOf, readScopes, showChoicesThen, tags } from './privacy-shapes.ts'

export interface PrivacyAccountOptions { answerPrivacy: AnswerPrivacy, cursors: Cursors }

const accountsPerCheckMax = 10_000
const checkBytesMax = 1_048_576

const placeShape = z.object({ after: z.string(), asOf: z.number(), knownAt: z.number(), head: z.array(z.number()) })
const moments = { as_of: shownTime, known_at: shownTime }
const accountShape = z.object({
  account_id: z.string(), account: choicesShape, devices: z.array(z.object({ device_id: z.string(), choices: choicesShape }))
})

export function privacyAccountRoutes ({ answerPrivacy, cursors }: PrivacyAccountOptions): FastifyPluginAsyncZod {
  return async app => {
    app.get('/v1/privacy/accounts/:account_id', {
      config: readScopes,
      schema: {
        summary: 'What an account had agreed to at a moment, as it was known at a moment',
        tags,
        params: z.strictObject({ account_id: plainIdShape }),
        querystring: clocksShape,
        response: { 200: accountShape.extend({ ...moments, ledger_head: headShape.extend({ revision: z.int(), hash: z.string() }) }) }
      }
    }, async request => {
      const { asOf, knownAt, last, head, ...then } = await answerPrivacy.account(request.params.account_id, clocksOf(request.query))
      const { account_id: accountId, ...choices } = showAccount(then)
      return { account_id: accountId, as_of: showTime(asOf), known_at: showTime(knownAt), ...choices, ledger_head: { ...last, ...showHead(head) } }
    })

    app.get('/v1/privacy/accounts', {
      config: readScopes,
      schema: {
        summary: 'What all accounts had agreed to at a moment, page by page',
        tags,
        querystring: clocksShape.extend({ limit: limitShape(1000), cursor: cursorShape }),
        response: { 200: z.object({ ...moments, accounts: z.array(accountShape), next_cursor: z.string().optional(), ledger_head: headShape }) }
      }
    }, async request => {
      const { limit = 100, cursor, ...clocks } = request.query
      const question = questionOf(request, 'accounts', clocks)
      const { asOf, knownAt, accounts, head, next } = await answerPrivacy.accounts(clocksOf(clocks), limit, cursors.readAs(cursor, question, placeShape))
      return {
        as_of: showTime(asOf),
        known_at: showTime(knownAt),
        accounts: accounts.map(showAccount),
        ...(next === undefined ? {} : { next_cursor: cursors.write(next, question) }),
        ledger_head: showHead(head)
      }
    })

    app.post('/v1/privacy/consents/check', {
      bodyLimit: checkBytesMax,
      config: { ...readScopes, inflatedBytesMax: checkBytesMax, problems: ['unknown-purpose'] },
      schema: {
        summary: 'Whether data of these accounts could be collected for a purpose by a product',
        tags,
        body: clocksShape.extend({
          purpose: purposeShape,
          product: productShape.shape.name,
          release: productShape.shape.release,
          accounts: z.array(plainIdShape).min(1, 'must name an account').max(accountsPerCheckMax, `must name at most ${String(accountsPerCheckMax)} accounts`),
          device_id: deviceIdShape.optional()
        }),
        response: {
          200: z.object({
            ...moments,
            ledger_head: headShape,
            answers: z.array(z.object({ account_id: z.string(), allowed: z.boolean(), reason: z.string(), entry_id: z.string().optional() }))
          })
        }
      }
    }, async request => {
      const { purpose, product, release, accounts: accountIds, device_id: deviceId, ...clocks } = request.body
      request.accessAbout = { purpose, product, release, device_id: deviceId, accounts: accountIds.length, accounts_sha256: sumOf(accountIds) }
      const checked = await answerPrivacy.check({ purpose, product, release, accountIds, deviceId }, clocksOf(clocks))
      if (typeof checked === 'string') throw new Problem(checked)
      return {
        as_of: showTime(checked.asOf),
        known_at: showTime(checked.knownAt),
        ledger_head: showHead(checked.head),
        answers: checked.answers.map(({ accountId, allowed, reason, entryId }) => ({ account_id: accountId, allowed, reason, ...(entryId === undefined ? {} : { entry_id: entryId }) }))
      }
    })
  }
}

/** Of a list: SHA-256 of its ids in their order, each with a line feed after it, which no id holds. */
function sumOf (accountIds: readonly string[]): string {
  return createHash('sha256').update(accountIds.map(id => `${id}\n`).join('')).digest('hex')
}

function showAccount ({ accountId, account, devices }: AccountThen): z.infer<typeof accountShape> {
  return {
    account_id: accountId,
    account: showChoicesThen(account),
    devices: devices.map(({ deviceId, choices }) => ({ device_id: deviceId, choices: showChoicesThen(choices) }))
  }
}
