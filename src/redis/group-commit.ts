/** What is given at the same time is sent together, in groups that share what sending costs. */

export interface GroupOptions<Item, Result> {
  /** Resolves with what becomes of each; fails for the whole group. */
  send: (group: readonly Item[]) => Promise<readonly Result[]>
  sizeOf: (item: Item) => number
  /** A group is no larger; an item that alone is larger makes a group of its own. */
  sizeMax: number
  itemsMax: number
  /** How many rounds may be under way while more is gathered for the next. */
  roundsMax: number
  /** A round that takes longer is not waited for: what was given since has its own time to fail in. */
  patienceMs: number
}

interface Given<Item, Result> { item: Item, done: (result: Result) => void, failed: (error: unknown) => void }

/**
 * Gives the function that sends an item, and that ends as its group does. Nothing waits while little is under way: a round
 * takes what was given in one turn of the event loop. Otherwise the next takes all that was given meanwhile.
 */
export function inGroups<Item, Result> ({ send, sizeOf, sizeMax, itemsMax, roundsMax, patienceMs }: GroupOptions<Item, Result>): (item: Item) => Promise<Result> {
  let waiting: Array<Given<Item, Result>> = []
  let rounds = 0
  let planned = false

  const plan = (): void => {
    if (planned || waiting.length === 0 || rounds >= roundsMax) return
    planned = true
    setImmediate(sendAll)
  }

  const sendAll = (): void => {
    planned = false
    rounds++
    let isWaitedFor = true
    const end = (): void => {
      if (!isWaitedFor) return
      isWaitedFor = false
      clearTimeout(timer)
      rounds--
      plan()
    }
    const timer = setTimeout(end, patienceMs)
    void Promise.all(takeGroups().map(sendGroup)).then(end)
  }

  const takeGroups = (): Array<Array<Given<Item, Result>>> => {
    const groups: Array<Array<Given<Item, Result>>> = []
    let size = Infinity
    for (const given of waiting) {
      const more = sizeOf(given.item)
      const last = groups.at(-1)
      if (last === undefined || last.length === itemsMax || size + more > sizeMax) {
        groups.push([given])
        size = more
      } else {
        last.push(given)
        size += more
      }
    }
    waiting = []
    return groups
  }

  const sendGroup = async (group: ReadonlyArray<Given<Item, Result>>): Promise<void> => {
    try {
      const results = await send(group.map(({ item }) => item))
      for (const [index, { done }] of group.entries()) done(results[index] as Result)
    } catch (error) {
      for (const { failed } of group) failed(error)
    }
  }

  return async item => {
    return await new Promise<Result>((resolve, reject) => {
      waiting.push({ item, done: resolve, failed: reject })
      plan()
    })
  }
}
