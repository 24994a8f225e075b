/** The suite put to the test: each breaks one promise in a copy of the service, and the oracle must say so. */
import { withPatchedCopy, type Patch } from '../patched-copy.ts'
import { play, type Form, type Outcome, type Scenario, type Scene } from '../scene.ts'
import { setApart, type Apart } from '../stage.ts'
import { withdrawWhileHeld } from './consent.ts'

/** Turns a run round: good is what found the breach that was made, and nothing else tells of a red run. */
async function mustFind (kind: 'lost' | 'overcounted' | 'forbidden', form: Form, patch: Patch, faults: (scene: Scene<Apart>) => Promise<number>): Promise<Outcome> {
  const outcome = await withPatchedCopy(patch, async root =>
    await play({ ...form, keepJournal: false }, async () => await setApart({ root }), {}, faults))
  const found = outcome.verdict?.[kind] ?? 0
  return { ...outcome, broken: found > 0 ? [] : [`the oracle did not find what is ${kind}; it said: ${outcome.broken.join(', ') || 'good'}`], note: `red as it must be: ${kind} ${String(found)}` }
}

export const controls: readonly Scenario[] = [
  {
    name: 'control-early-202',
    about: 'a copy that acknowledges before the queue has the batch must turn the oracle red',
    run: async form => await mustFind('lost', form, {
      file: 'src/redis/event-queue.ts', find: /await queue\.add\('batches', await toJobData\(batches, compressor\.compress\)\)/, put: '{ id: undefined }; setTimeout(() => { void toJobData(batches).then(data => queue.add(\'batches\', data)).catch(() => {}) }, 50)'
    }, async ({ stage: { collectors: [collector] }, crowd, random }) => {
      for (let kill = 0; kill < 2; kill++) {
        await crowd.more(random.between(5, 15))
        await collector?.end('SIGKILL')
        await collector?.start()
      }
      return 2
    })
  },
  {
    name: 'control-no-final',
    about: 'a copy whose view shows every row must turn the oracle red',
    run: async form => await mustFind('overcounted', form, { file: 'migrations/0002_events_v.sql', find: /FROM events FINAL/, put: 'FROM events' },
      async ({ stage: { clickhouse }, crowd }) => {
        await clickhouse.set({ droppedAnswers: 3 }) // The insert is done and its answer lost, so it comes again.
        await crowd.more(100)
        return 3
      })
  },
  {
    name: 'control-one-check',
    about: 'a copy that does not ask for consent again before it stores must turn the oracle red',
    run: async form => await mustFind('forbidden', form, { file: 'src/flows/store-events.ts', find: /\.every\(covers\)/, put: '.every(() => true)' }, async scene => {
      return await withdrawWhileHeld(scene, 1)
    })
  }
]
