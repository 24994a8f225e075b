import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openDataDir } from '../../src/composition/data-dir.ts'
import { developmentSecrets } from '../../src/crypto/secrets.ts'

const others = 0o077

t.test('what a data directory holds is for its user alone', async t => {
  const before = process.umask(0)
  t.teardown(() => { process.umask(before) })
  const wanted = join(t.testdir(), 'data')
  const { path, release } = await openDataDir(wanted)
  t.teardown(release)
  await developmentSecrets(path)
  for (const name of ['', 'keys', 'keys/development.json']) t.equal((await stat(join(path, name))).mode & others, 0, name)
})
