import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import { governingScope, type Scope } from '../../src/domain/catalog.ts'
import { decide, emptyRecord, permissionFor, type ChoiceState, type ConsentRecord, type Decision, type Standing } from '../../src/domain/consent.ts'
import { applyChanges, type Subject } from '../../src/domain/ledger.ts'

const root = join(import.meta.dirname, '..', '..')
const catalog = await loadCatalog(join(root, 'schemas'))
const purposeOf = (id: string) => catalog.purposes.find(purpose => purpose.id === id)!
const analytics = purposeOf('product_analytics')
const nobody: Standing = { account: undefined, deviceId: undefined, deviceAlone: undefined, orgPolicy: {}, regionalDefault: 'denied' }

/** The record after someone said something about analytics: for the whole account, or for one device. */
function say (record: ConsentRecord, decision: ChoiceState, now: number, deviceId: string | null = null, who: Subject = { kind: 'account', id: 'ada' }): ConsentRecord {
  const change = { scope: deviceId === null ? 'account' as const : 'device' as const, deviceId, purpose: analytics.id, decision }
  const tools = { now, newId: () => `entry-${now}`, seal: () => '' }
  return applyChanges(who, record, [change], { actor: 'user', verifiedBy: 'none', via: null, noticeVersion: null }, tools).record
}

function sayAlone (record: ConsentRecord, decision: ChoiceState, now: number, deviceId: string): ConsentRecord {
  return say(record, decision, now, deviceId, { kind: 'device', id: deviceId })
}

function decided (standing: Partial<Standing>, capturedAt: number, scope: Scope = 'account'): Decision['reason'] {
  return decide(permissionFor(analytics, { ...nobody, ...standing }, scope), capturedAt).reason
}

t.test('every row of the truth table is decided as it says', async t => {
  const [header = '', ...rows] = readFileSync(join(root, 'test/fixtures/consent-truth-table.csv'), 'utf8').trim().split('\n')
  const decideRow = (row: string) => {
    const cells = row.split(',')
    const { identity, account_choice, device_choice, release, category, org_policy, regional_default } = Object.fromEntries(header.split(',').map((name, at) => [name, cells[at]]))
    const knowsAccount = identity!.includes('account')
    const deviceId = identity!.includes('device') ? 'pc' : undefined
    let account = emptyRecord
    let deviceAlone = emptyRecord
    if (account_choice === 'granted' || account_choice === 'denied') account = say(account, account_choice, 1)
    if (device_choice === 'granted' || device_choice === 'denied') {
      if (knowsAccount) account = say(account, device_choice, 2, 'pc')
      else deviceAlone = sayAlone(deviceAlone, device_choice, 2, 'pc')
    }
    const purpose = category === 'required' ? purposeOf('service_delivery') : analytics
    const standing: Standing = {
      account: knowsAccount ? account : undefined,
      deviceId,
      deviceAlone: deviceId === undefined ? undefined : deviceAlone,
      orgPolicy: { [purpose.id]: { state: org_policy as 'off' | 'none', offUntil: 0 } },
      regionalDefault: regional_default as 'granted' | 'denied'
    }
    const { outcome, reason } = decide(permissionFor(purpose, standing, governingScope(catalog, 'cad', Number(release))), 1000)
    return [...cells.slice(0, 7), outcome, reason].join(',')
  }
  t.equal(rows.length, 256)
  t.same(rows.map(decideRow), rows)
})

t.test('only what was captured since the latest yes is covered', async t => {
  const granted = say(emptyRecord, 'granted', 100)
  t.equal(decided({ account: granted }, 99), 'captured_before_consent')
  t.equal(decided({ account: granted }, 100), 'account_granted')
  const denied = say(granted, 'denied', 200)
  t.equal(decided({ account: denied }, 150), 'account_denied', 'a withdrawal reaches what was captured before it')
  const again = say(denied, 'granted', 300)
  t.same([150, 250, 299, 300].map(at => decided({ account: again }, at)),
    ['captured_before_consent', 'captured_before_consent', 'captured_before_consent', 'account_granted'])
})

t.test('a cleared choice permits nothing, and ends a denial', async t => {
  const pc = (record: ConsentRecord, regionalDefault: 'granted' | 'denied' = 'denied'): Partial<Standing> => ({ account: record, deviceId: 'pc', regionalDefault })
  const cleared = say(say(emptyRecord, 'granted', 100, 'pc'), 'cleared', 200, 'pc')
  t.equal(decided(pc(cleared), 150, 'device'), 'not_granted')
  t.equal(decided(pc(say(cleared, 'granted', 300, 'pc')), 150, 'device'), 'captured_before_consent', 'what lies before the gap stays out')
  const pardoned = say(say(say(emptyRecord, 'granted', 100), 'denied', 200, 'pc'), 'cleared', 300, 'pc')
  t.equal(decided(pc(pardoned), 250), 'captured_before_consent')
  t.equal(decided(pc(pardoned), 300), 'account_granted')
})

t.test('a yes at the account does not cover what a denial on the device covered', async t => {
  const record = say(say(say(emptyRecord, 'granted', 100), 'denied', 200, 'pc'), 'granted', 300, 'pc')
  t.equal(decided({ account: record, deviceId: 'pc' }, 299), 'captured_before_consent')
  t.equal(decided({ account: record, deviceId: 'laptop' }, 150), 'account_granted', 'another device is not touched')
})

t.test('a device-alone denial blocks everyone who signs in there', async t => {
  for (const id of ['pc', '__proto__', 'constructor', 'toString']) {
    const account = say(say(emptyRecord, 'granted', 100), 'granted', 110, id)
    const deviceAlone = sayAlone(emptyRecord, 'denied', 200, id)
    t.equal(decided({ account, deviceId: id, deviceAlone }, 300), 'device_denied', id)
    t.equal(decided({ account, deviceId: id, deviceAlone: sayAlone(deviceAlone, 'granted', 400, id) }, 300), 'captured_before_consent', `${id}, after it ended`)
    t.equal(decided({ account, deviceId: `${id}2` }, 300), 'account_granted', `${id}, on another device`)
  }
})

t.test('a device-alone yes counts only while nobody is signed in', async t => {
  for (const deviceId of ['pc', '__proto__', 'constructor', 'toString']) {
    const deviceAlone = sayAlone(emptyRecord, 'granted', 100, deviceId)
    t.equal(decided({ deviceId, deviceAlone }, 200, 'account'), 'device_granted', 'signed out, the device governs every release')
    t.equal(decided({ account: emptyRecord, deviceId, deviceAlone }, 200, 'device'), 'not_granted', deviceId)
  }
})

t.test('one person\'s yes on a shared device never opts in another', async t => {
  const ada = say(say(emptyRecord, 'granted', 100), 'granted', 110, 'shared')
  const shared = { deviceId: 'shared', deviceAlone: emptyRecord }
  t.equal(decided({ account: ada, ...shared }, 200, 'device'), 'device_granted')
  t.equal(decided({ account: emptyRecord, ...shared }, 200, 'device'), 'not_granted', 'another account')
  t.equal(decided(shared, 200), 'not_granted', 'nobody signed in')
})

t.test('where the default is yes, only a denial limits what is covered', async t => {
  const open = { regionalDefault: 'granted' as const }
  const denied = say(emptyRecord, 'denied', 200)
  t.equal(decided({ account: emptyRecord, ...open }, 0), 'default_granted')
  t.equal(decided({ account: denied, ...open }, 100), 'account_denied')
  const again = say(denied, 'granted', 300)
  t.equal(decided({ account: again, ...open }, 250), 'captured_before_consent')
  t.equal(decided({ account: again, ...open }, 300), 'account_granted')
  t.equal(decided({ account: say(emptyRecord, 'granted', 300), ...open }, 250), 'account_granted', 'nothing was closed before that yes')
  const pardoned = say(say(emptyRecord, 'denied', 200, 'pc'), 'cleared', 300, 'pc')
  t.equal(decided({ account: pardoned, deviceId: 'pc', ...open }, 250), 'captured_before_consent')
  t.equal(decided({ account: pardoned, deviceId: 'pc', ...open }, 300), 'default_granted')
})

t.test('an event is covered exactly when every moment since its capture was', async () => {
  const step = fc.record({ at: fc.constantFrom('account', 'own', 'alone'), decision: fc.constantFrom('granted', 'denied', 'cleared') })
  const property = fc.property(fc.array(step, { maxLength: 8 }), fc.constantFrom('account', 'device'), fc.boolean(), fc.boolean(), fc.nat(9),
    (steps, scope, signedIn, openByDefault, capturedAt) => {
      let standing: Standing = { ...nobody, deviceId: 'pc', account: signedIn ? emptyRecord : undefined, deviceAlone: emptyRecord, regionalDefault: openByDefault ? 'granted' : 'denied' }
      const said = { account: 'cleared', own: 'cleared', alone: 'cleared' }
      const isOpen = (): boolean => {
        const binding = signedIn ? [said.account, said.own, said.alone] : [said.alone]
        const governing = signedIn ? (scope === 'account' ? said.account : said.own) : said.alone
        return !binding.includes('denied') && (governing === 'granted' || openByDefault)
      }
      const openAt = [isOpen()]
      steps.forEach(({ at, decision }, index) => {
        if (at !== 'alone' && standing.account === undefined) return
        said[at] = decision
        standing = at === 'alone'
          ? { ...standing, deviceAlone: sayAlone(standing.deviceAlone!, decision, index + 1, 'pc') }
          : { ...standing, account: say(standing.account!, decision, index + 1, at === 'own' ? 'pc' : null) }
        openAt[index + 1] = isOpen()
      })
      for (let at = 1; at < 10; at++) openAt[at] ??= openAt[at - 1]!
      return openAt.slice(capturedAt).every(Boolean) === (decide(permissionFor(analytics, standing, scope), capturedAt).outcome === 'accepted')
    })
  fc.assert(property, { numRuns: 3000 })
})
