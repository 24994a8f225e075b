import fc from 'fast-check'
import t from 'tap'
import { makeCsv } from '../../src/files/csv.ts'
import { makeEntry } from '../support/exports.ts'

const text = (accountId: string): string => Buffer.from(makeCsv().page([makeEntry({ account_id: accountId })])).toString()

/** The second cell of a line, read by RFC 4180. */
function secondCell (line: string): string {
  const [, quoted, plain] = /^[^,]*,(?:"((?:[^"]|"")*)"|([^,]*)),/.exec(line) ?? []
  return quoted === undefined ? plain ?? '' : quoted.replaceAll('""', '"')
}

t.test('whatever a text is, one apostrophe away from its cell it is itself again', async () => {
  const awkward = fc.string({ unit: fc.oneof(fc.constantFrom(...'=+-@\t\r\n\'", ＝＋－＠﹦\u200b\ufeff\u3000\u00a0−'), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 })) })
  fc.assert(fc.property(awkward, name => {
    const cell = secondCell(text(name))
    return cell === name || cell === `'${name}`
  }))
})

t.test('no cell begins as a formula may, in whatever form and after whatever is blank', async t => {
  for (const blank of ['', ' ', '\t', '\r', '\n', '\u00a0', '\u200b', '\ufeff', '\u3000', '\0', ' \u200b ']) {
    for (const sign of [...'=+-@＝＋－＠﹦﹢﹣﹫−']) t.equal(secondCell(text(`${blank}${sign}1`)), `'${blank}${sign}1`, JSON.stringify(blank + sign))
  }
  for (const start of ['\tx', '\rx', '\nx', "'x"]) t.equal(secondCell(text(start)), `'${start}`)
  for (const harmless of ['ann', 'a=1', 'a\n=1', '1-1', ' ann', 'ann@example.com']) t.equal(secondCell(text(harmless)), harmless)
})

t.test('lines end as RFC 4180 says, after a header of the columns', async t => {
  const csv = makeCsv()
  t.equal(Buffer.from(csv.begin()).toString(), 'entry_id,account_id,device_id,scope,purpose,decision,effective_at,recorded_at,actor,verified_by,via,notice_version,revision,prev_hash,hash\r\n')
  t.match(text('ada'), /^[0-9a-f-]{36},ada,,account,product_analytics,granted,2026-01-01T00:00:00\.000Z,2026-01-01T00:00:00\.000Z,user,email,,,1,,f{64}\r\n$/)
})
