/** No process outlives the run that started it, however the run ends. */
import type { ChildProcess } from 'node:child_process'

const running = new Set<ChildProcess>()
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })

export function endWithThis (child: ChildProcess): void {
  running.add(child)
  child.once('exit', () => running.delete(child))
}
