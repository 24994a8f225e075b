/** Lists that are too long for one parameter of a statement. */

/** A server takes at most 128 KiB in one field of a form, of a text that may be escaped; a list is cut well below that. */
const pieceBytesMax = 50_000

export interface LongList {
  /** What stands for the list in a statement. */
  expression: string
  parameters: Record<string, readonly string[]>
}

/** Binds a list as several parameters `<name>0`, `<name>1`, … `type`: of its elements. */
export function bindList (name: string, type: 'String' | 'UUID', values: readonly string[]): LongList {
  const pieces: string[][] = [[]]
  let bytes = 0
  for (const value of values) {
    const size = Buffer.byteLength(value) + 3
    if (bytes + size > pieceBytesMax) {
      pieces.push([])
      bytes = 0
    }
    bytes += size
    pieces.at(-1)?.push(value)
  }
  const parameters = Object.fromEntries(pieces.map((piece, index) => [`${name}${String(index)}`, piece]))
  return { expression: `arrayConcat(${Object.keys(parameters).map(piece => `{${piece}: Array(${type})}`).join(', ')})`, parameters }
}
