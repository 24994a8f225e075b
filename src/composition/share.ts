/** Has all who ask while an answer is being made get that one: however many ask, one is made at a time. */
export function share<Answer> (make: () => Promise<Answer>): () => Promise<Answer> {
  let underWay: Promise<Answer> | undefined
  return async () => {
    underWay ??= make().finally(() => { underWay = undefined })
    return await underWay
  }
}
