/** Stacks as a flame graph: an SVG that needs nothing else. The outermost frame is at the bottom, the width is time. */
import type { Frame, Part, Stack } from './stacks.ts'

interface Node { frame: Frame, samples: number, children: Map<string, Node> }

const [width, rowHeight, headHeight, letterWidth] = [1200, 17, 62, 6.8]
/** Narrower frames are left out, with what lies on them. */
const shareMin = 0.003

const parts: Readonly<Record<Part, { colour: string, title: string }>> = {
  own: { colour: '#f2a541', title: 'this service' },
  http: { colour: '#6fa8dc', title: 'HTTP: Fastify, Node' },
  redis: { colour: '#e06666', title: 'ioredis, BullMQ' },
  package: { colour: '#c27ba0', title: 'other packages' },
  node: { colour: '#93c47d', title: 'Node' },
  'built-in': { colour: '#d9d2c0', title: 'built into the engine' },
  garbage: { colour: '#999999', title: 'collecting garbage' },
  native: { colour: '#b7b7d7', title: 'outside of JavaScript' }
}

export function drawFlames (title: string, stacks: readonly Stack[]): string {
  const root: Node = { frame: { name: 'all', file: '', part: 'node' }, samples: 0, children: new Map() }
  for (const { frames, samples } of stacks) grow(root, frames, samples)
  const rows: string[][] = []
  draw(root, 0, 0, root.samples, rows)
  const height = headHeight + rows.length * rowHeight + 6
  const legend = Object.values(parts).map(({ colour, title }, index) =>
    `<rect x="${String(8 + index * 148)}" y="34" width="12" height="12" fill="${colour}"/><text x="${String(24 + index * 148)}" y="44">${title}</text>`).join('')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(width)} ${String(height)}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="20" font-size="14">${escape(title)}</text>
${legend}
${rows.map((row, depth) => `<g transform="translate(0 ${String(height - 6 - (depth + 1) * rowHeight)})">\n${row.join('\n')}\n</g>`).join('\n')}
</svg>
`
}

function grow (node: Node, frames: readonly Frame[], samples: number): void {
  node.samples += samples
  const [frame, ...above] = frames
  if (frame === undefined) return
  const key = `${frame.name} ${frame.file}`
  const child = node.children.get(key) ?? { frame, samples: 0, children: new Map<string, Node>() }
  node.children.set(key, child)
  grow(child, above, samples)
}

function draw (node: Node, depth: number, left: number, whole: number, rows: string[][]): void {
  const share = node.samples / whole
  if (share < shareMin) return
  const wide = share * width
  const { name, file, part } = node.frame
  const place = file.split('/').slice(part === 'own' ? 1 : -2).join('/')
  const text = `${name} ${place}`.trim()
  const letters = Math.floor((wide - 6) / letterWidth)
  const shown = letters < 3 ? '' : text.length <= letters ? text : `${text.slice(0, letters - 1)}…`
  const row = rows[depth] ??= []
  row.push(`<g><title>${escape(`${name} ${file}`.trim())}: ${(share * 100).toFixed(1)} %</title><rect x="${left.toFixed(1)}" width="${wide.toFixed(1)}" height="${String(rowHeight - 1)}" fill="${parts[part].colour}" stroke="#fff" stroke-width=".5"/>${
    shown === '' ? '' : `<text x="${(left + 3).toFixed(1)}" y="12">${escape(shown)}</text>`}</g>`)
  let from = left
  for (const child of [...node.children.values()].sort((a, b) => b.samples - a.samples)) {
    draw(child, depth + 1, from, whole, rows)
    from += child.samples / whole * width
  }
}

function escape (text: string): string {
  return text.replace(/[<>&]/g, letter => `&#${String(letter.charCodeAt(0))};`)
}
