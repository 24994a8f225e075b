/** What waits in an outbox leaves it: delivered first, taken out after, so that nothing is ever in neither place. */

export interface DrainOutboxDeps<Waiting> {
  outbox: { peek: (max: number) => Promise<Waiting[]>, remove: (entries: readonly Waiting[]) => Promise<void> }
  /** May be given the same entries again. */
  deliver: (waiting: readonly Waiting[]) => Promise<void>
  entriesMax: number
}

/** Moves what waits, and says how much that was. */
export async function drainOutbox<Waiting> ({ outbox, deliver, entriesMax }: DrainOutboxDeps<Waiting>): Promise<number> {
  const waiting = await outbox.peek(entriesMax)
  if (waiting.length === 0) return 0
  await deliver(waiting)
  await outbox.remove(waiting)
  return waiting.length
}
