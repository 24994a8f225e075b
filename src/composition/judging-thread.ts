/** A thread that judges batches, one after the other, for the thread that serves. Started by `judging.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { loadCatalog } from '../catalog/load-catalog.ts'
import { Problem } from '../http/problem.ts'
import { makeJudge, type Asked, type JudgingSettings, type Told } from './judging.ts'

const settings = workerData as JudgingSettings
const judge = makeJudge(await loadCatalog(settings.schemasDir), settings)
const tell = (told: Told, transferred: ArrayBuffer[] = []): void => { parentPort?.postMessage(told, transferred) }

parentPort?.on('message', ({ id, posted: { bytes: { buffer }, poster, grounds } }: Asked) => {
  try {
    const judged = judge({ bytes: Buffer.from(buffer), poster, grounds })
    if ('otherOwner' in judged) tell({ id, judged, bytes: new Uint8Array(buffer) }, [buffer])
    else tell({ id, judged })
  } catch (error) {
    tell(error instanceof Problem ? { id, problem: { slug: error.slug, extras: error.extras } } : { id, error })
  }
})
parentPort?.postMessage('ready')
