/** A store that cannot be reached says so in one way. */
import { Unavailable } from '../domain/unavailable.ts'

/** The same steps, each failing with `Unavailable` for whatever goes wrong on the way. */
export function orUnavailable<Store extends object> (what: string, store: Store): Store {
  const guard = (step: unknown) => typeof step !== 'function'
    ? step
    : async (...args: unknown[]): Promise<unknown> => {
      try {
        return await (step as (...args: unknown[]) => Promise<unknown>)(...args)
      } catch (cause) {
        throw new Unavailable(what, { cause })
      }
    }
  return Object.fromEntries(Object.entries(store).map(([name, step]) => [name, guard(step)])) as Store
}
