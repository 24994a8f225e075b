/** Several at a time. */

/** Works the items off, `atOnce` at a time; what became of each, in their order. */
export async function eachOf<Item, Result> (items: readonly Item[], atOnce: number, work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results = new Array<Result>(items.length)
  const queue = items.entries()
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const [index, item] of queue) results[index] = await work(item)
  }))
  return results
}
