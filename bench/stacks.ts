/** A CPU profile as stacks, and whose code each frame of a stack is. */
import type { Profiler } from 'node:inspector'

export type Part = 'own' | 'http' | 'redis' | 'package' | 'node' | 'built-in' | 'garbage' | 'native'

export interface Frame {
  name: string
  /** Below the project's or the package's directory; empty for what has no source. */
  file: string
  part: Part
}

/** Outermost frame first; in how many samples it was seen, which are taken at even intervals. */
export interface Stack { frames: readonly Frame[], samples: number }

/** Every stack that was seen while the thread had work, that of starting the profiler left out. */
export function readStacks ({ nodes }: Profiler.Profile): Stack[] {
  const byId = new Map(nodes.map(node => [node.id, node]))
  const stacks: Stack[] = []
  const walk = (id: number, above: readonly Frame[]): void => {
    const node = byId.get(id)
    if (node === undefined || node.callFrame.functionName === '(idle)' || node.callFrame.url === 'node:inspector') return
    const frames = node.callFrame.functionName === '(root)' ? above : [...above, frameOf(node.callFrame)]
    if ((node.hitCount ?? 0) > 0 && frames.length > 0) stacks.push({ frames, samples: node.hitCount ?? 0 })
    for (const child of node.children ?? []) walk(child, frames)
  }
  walk(nodes[0]?.id ?? 0, [])
  return stacks
}

const redisPackages = /^(?:@ioredis\/|ioredis|bullmq|redis-|denque|msgpackr|cluster-key-slot|standard-as-callback)/
const httpPackages = /^(?:@?fastify|find-my-way|avvio|secure-json-parse|fast-content-type-parse|fast-querystring|light-my-request|rfdc|toad-cache)/

function frameOf ({ functionName, url, lineNumber }: Profiler.Profile['nodes'][number]['callFrame']): Frame {
  const name = functionName === '' ? `(line ${String(lineNumber + 1)})` : functionName
  if (name === '(garbage collector)') return { name: 'collecting garbage', file: '', part: 'garbage' }
  if (name === '(program)') return { name: 'outside of JavaScript', file: '', part: 'native' }
  const [, packaged] = /.*\/node_modules\/(.+)$/.exec(url) ?? []
  if (packaged !== undefined) return { name, file: packaged, part: redisPackages.test(packaged) ? 'redis' : httpPackages.test(packaged) ? 'http' : 'package' }
  const [, own] = /\/(src\/.+)$/.exec(url) ?? []
  if (own !== undefined) return { name, file: own, part: 'own' }
  if (url.startsWith('node:')) return { name, file: url, part: /^node:(?:_http|internal\/http)/.test(url) ? 'http' : 'node' }
  return { name, file: '', part: 'built-in' }
}
