/** `npm run keys:rotate`: seals anew, by the first key of SEAL_KEYS, the secrets of authenticators and the addresses of letters. */
import type { Config } from '../config.ts'
import { makeAddressBox } from '../crypto/address-box.ts'
import { makeSealedBox } from '../crypto/sealed-box.ts'
import { makeSecretBox } from '../crypto/secret-box.ts'
import { rotateKeys, type RotateKeysProgress } from '../flows/rotate-keys.ts'
import { makeSecurityStore, securedAccounts } from '../redis/security-store.ts'
import { openRedis, secretsOf } from './stores.ts'

/** With REDIS_URL it may run beside the service; without, the service must be stopped, since its Redis is its own. */
export async function runRotateKeys (config: Config, onProgress: (progress: RotateKeysProgress) => void): Promise<RotateKeysProgress> {
  const closers: Array<() => Promise<unknown>> = []
  try {
    const { redis } = await openRedis(config, closers, () => {})
    const box = makeSealedBox((await secretsOf(config)).sealKeys)
    return await rotateKeys({
      accounts: securedAccounts(redis),
      security: makeSecurityStore(redis),
      resealed: { authenticator: makeSecretBox(box).resealed, address: makeAddressBox(box).resealed },
      onProgress
    })
  } finally {
    for (const closer of closers.reverse()) await closer()
  }
}
