import { randomBytes } from 'node:crypto'
import t from 'tap'
import { makeAddressBox } from '../../src/crypto/address-box.ts'
import { makeSealedBox } from '../../src/crypto/sealed-box.ts'

const [old, recent] = [randomBytes(32), randomBytes(32)]
const address = { to: 'ada@example.com', language: 'de' }

t.test('an address is opened for its account and for no other', async t => {
  const box = makeAddressBox(makeSealedBox(new Map([['old', old]])))
  const sealed = box.seal('ada', address)
  t.same(box.open('ada', sealed), address)
  t.throws(() => box.open('mallory', sealed))
})

t.test('one that was sealed before addresses were bound is opened, and bound when it is sealed anew', async t => {
  const unbound = makeSealedBox(new Map([['old', old]])).seal(JSON.stringify(address), 'address')
  const box = makeAddressBox(makeSealedBox(new Map([['recent', recent], ['old', old]])))
  t.same(box.open('ada', unbound), address)
  const anew = box.resealed('ada', unbound)!
  t.same(box.open('ada', anew), address)
  t.throws(() => box.open('mallory', anew))
  t.equal(box.resealed('ada', anew), null)
})
