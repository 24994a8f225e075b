/** What the time of a collector's main thread goes to. */
import type { Frame, Stack } from './stacks.ts'

/** As shares of the whole, largest first: the folders of `src/`, HTTP, the Redis client; each with what it has Node, the engine and packages do. */
export function sharesByFolder (stacks: readonly Stack[]): Array<{ what: string, share: number, files: string }> {
  const folders = new Map<string, { samples: number, files: Map<string, number> }>()
  const whole = sum(stacks)
  for (const { frames, samples } of stacks) {
    const innermost = frames.findLast(({ part }) => part === 'own' || part === 'http' || part === 'redis')
    const own = innermost?.part === 'own' ? innermost : undefined
    const what = own?.file.split('/').slice(0, 2).join('/') ?? placeWithoutOwn(innermost ?? frames[0])
    const folder = folders.get(what) ?? { samples: 0, files: new Map<string, number>() }
    folders.set(what, folder)
    folder.samples += samples
    const file = own?.file.split('/').slice(2).join('/')
    if (file !== undefined && file !== '') folder.files.set(file, (folder.files.get(file) ?? 0) + samples)
  }
  const percent = (samples: number): string => `${(samples / whole * 100).toFixed(0)} %`
  return [...folders].sort(([, a], [, b]) => b.samples - a.samples).map(([what, { samples, files }]) => ({
    what,
    share: samples / whole,
    files: [...files].sort(([, a], [, b]) => b - a).filter(([, samples]) => samples >= whole / 100).map(([file, samples]) => `${file} ${percent(samples)}`).join(', ')
  }))
}

function placeWithoutOwn (frame: Frame | undefined): string {
  switch (frame?.part) {
    case 'http': return 'HTTP: Fastify and Node'
    case 'redis': return 'Redis: BullMQ and ioredis'
    case 'garbage': return 'collecting garbage'
    case 'native': return 'outside of JavaScript: system calls, the event loop'
    default: return 'Node: streams, timers, promises'
  }
}

/** All that reads consent or decides by it. The look-up of a decision that was made, one for each event, has no name of its own. */
const consentFiles = /^src\/(?:redis\/(?:consent-store|stored-record|whole-mark)|domain\/(?:consent|notice))\.ts$/
const oneWrite = 'src/redis/one-write.ts'
const consentFunctions = new Set(['readStanding', 'readStandings', 'makePermissions'])

/**
 * The share of consent, with everything that its functions call. What is sent to Redis and comes back is written and
 * parsed for many commands at once: of that, consent has its share of the commands. So it has of collecting garbage
 * what it has of the rest.
 */
export function consentShare (stacks: readonly Stack[], shareOfCommands: number): number {
  const working = stacks.filter(({ frames }) => frames[0]?.part !== 'garbage')
  const isConsent = ({ frames }: Stack): boolean => frames.some(({ name, file, part }) => part === 'own' && (consentFiles.test(file) || consentFunctions.has(name)))
  const isTraffic = ({ frames }: Stack): boolean => frames.every(({ part, file }) => part === 'own' ? file === oneWrite : !file.startsWith('bullmq/')) &&
    frames.some(({ part, file }) => part === 'redis' || file === oneWrite)
  return (sum(working.filter(isConsent)) + shareOfCommands * sum(working.filter(isTraffic))) / sum(working)
}

function sum (stacks: readonly Stack[]): number {
  return stacks.reduce((all, { samples }) => all + samples, 0)
}
