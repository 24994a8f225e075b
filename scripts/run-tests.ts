// Runs the test files through tap, shows each file as it ends and every failure in full, and
// closes with one line `N passed, N failed`. A test is what a file declares at its top level; a
// file that fails beyond its tests (it crashed, timed out, never reported) is one more failure.
//
//   node scripts/run-tests.ts [file or folder…] [--option=value for tap…]
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { normalize } from 'node:path'
import { inspect } from 'node:util'
import { Parser, type Result } from 'tap-parser'

interface Outcome { passed: number, skipped: number, failed: string[], reports: string[] }

const options = process.argv.slice(2).filter(argument => argument.startsWith('-'))
const paths = process.argv.slice(2).filter(argument => !argument.startsWith('-'))
const files = testFiles(paths)

if (files.length === 0) {
  console.log(`no test file matches ${paths.join(' ') || 'test/**/*.test.ts'}`)
  console.log('0 passed, 0 failed')
  process.exitCode = 1
} else {
  const outcomes = new Map<string, Outcome>()
  const tap = spawn(process.execPath, ['node_modules/.bin/tap', '--reporter=tap', ...options, ...files], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true // A process group of its own, so that one signal ends tap and all that the tests started.
  })
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (tap.pid !== undefined && tap.exitCode === null && tap.signalCode === null) process.kill(-tap.pid, signal)
    })
  }
  tap.stdout.pipe(followRun(outcomes))
  tap.on('close', (code, signal) => { process.exitCode = summarise(outcomes, code, signal) })
}

/** The test files that are, or are inside, one of the paths; all of them if there is no path. */
function testFiles (paths: string[]): string[] {
  const asked = paths.map(path => normalize(path).replace(/\/$/, ''))
  return globSync('test/**/*.test.ts').sort().filter(file =>
    asked.length === 0 || asked.some(path => file === path || file.startsWith(`${path}/`)))
}

/** Reads tap's output: a child per file, closed by a result with the file's name. */
function followRun (outcomes: Map<string, Outcome>): Parser {
  const run = new Parser()
  let current = nothingYet()
  run.on('child', (file: Parser) => {
    current = nothingYet()
    followFile(file, current, true)
  })
  run.on('assert', (end: Result) => {
    // A result under another name is about the whole run, such as a time-out; its file has none then.
    if (files.includes(end.name)) {
      const isEmpty = end.skip === 'no tests found'
      if (isEmpty || (!end.ok && current.failed.length === 0)) {
        const problem = isEmpty ? 'the file has no test' : endingOf(end)
        current.failed.push(problem)
        current.reports.push(problem)
      } else if (isSkipped(end)) {
        current.skipped++
      }
      outcomes.set(end.name, current)
      printFile(end.name, current, end.time)
    } else if (!end.ok) {
      console.log(`FAIL ${end.name} ${inspect(diagnosticsOf(end))}`)
    }
    current = nothingYet()
  })
  run.on('extra', (text: string) => process.stdout.write(text)) // What the tests print themselves.
  run.on('bailout', (reason: string) => { console.log(`stopped early: ${reason}`) })
  return run
}

function nothingYet (): Outcome {
  return { passed: 0, skipped: 0, failed: [], reports: [] }
}

/** Counts the tests of a file; what is inside them is only reported, when it fails. */
function followFile (tests: Parser, outcome: Outcome, isTop: boolean): void {
  let reportsBefore = 0
  tests.on('assert', (test: Result) => {
    const failed = !test.ok && !isSkipped(test)
    const unexplained = outcome.reports.length === reportsBefore
    if (failed && (unexplained || !test.closingTestPoint)) outcome.reports.push(reportOf(test))
    reportsBefore = outcome.reports.length
    if (!isTop) return
    if (failed) outcome.failed.push(test.name)
    else if (isSkipped(test)) outcome.skipped++
    else outcome.passed++
  })
  tests.on('child', (inner: Parser) => { followFile(inner, outcome, false) })
}

function isSkipped (result: Result): boolean {
  return result.skip !== false || result.todo !== false
}

/** Why a file failed that has no failed test. */
function endingOf (end: Result): string {
  const { exitCode, signal } = diagnosticsOf(end)
  if (typeof signal === 'string') return `the file was ended by ${signal}`
  if (typeof exitCode === 'number') return `the file ended with exit code ${exitCode}`
  return 'the file failed outside its tests'
}

/** One failure in full: its path of names, then what tap knows of it, its source and stack last. */
function reportOf (failure: Result): string {
  const { at: _at, diff, source, stack, ...facts } = diagnosticsOf(failure)
  const texts = [
    ...Object.entries(facts).map(([name, fact]) => `${name}: ${typeof fact === 'string' ? fact : inspect(fact, { depth: 8 })}`),
    ...[diff, source, stack].filter(text => typeof text === 'string')
  ]
  const title = failure.fullname.split(' > ').slice(1).join(' > ')
  return [title, ...texts.map(text => indent(text.trimEnd(), 4))].join('\n')
}

function diagnosticsOf (result: Result): Record<string, unknown> {
  return (result.diag ?? {}) as Record<string, unknown>
}

function printFile (name: string, outcome: Outcome, durationMs: number | null): void {
  const { passed, failed, skipped, reports } = outcome
  const counts = [`${passed} passed`, failed.length > 0 && `${failed.length} failed`, skipped > 0 && `${skipped} skipped`]
  const duration = durationMs === null ? '' : ` (${(durationMs / 1000).toFixed(1)} s)`
  console.log(`${failed.length > 0 ? 'FAIL' : 'ok  '} ${name}: ${counts.filter(Boolean).join(', ')}${duration}`)
  for (const report of reports) console.log(`\n${indent(report, 5)}`)
  if (reports.length > 0) console.log()
}

function indent (text: string, width: number): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(width))
}

/** Names every failure again, prints the closing line, and returns the exit code. */
function summarise (outcomes: Map<string, Outcome>, code: number | null, signal: NodeJS.Signals | null): 0 | 1 {
  const failures = files.flatMap(file =>
    (outcomes.get(file)?.failed ?? ['the file has no result: it timed out or was not run']).map(name => `${file} > ${name}`))
  if (failures.length === 0 && code !== 0) failures.push(`tap ended with ${signal ?? `exit code ${code}`}`)
  const reported = [...outcomes.values()]
  const passed = reported.reduce((sum, file) => sum + file.passed, 0)
  const skipped = reported.reduce((sum, file) => sum + file.skipped, 0)
  console.log()
  for (const failure of failures) console.log(`FAIL ${failure}`)
  if (skipped > 0) console.log(`${skipped} skipped or still to do`)
  if (passed === 0 && failures.length === 0) console.log('No test ran, which is a failure too.')
  console.log(`${passed} passed, ${failures.length} failed`)
  return passed > 0 && failures.length === 0 ? 0 : 1
}
