/** Runs a developer's read-only SQL. */
import type { ClickHouseClient } from '@clickhouse/client'
import { isClickHouseError } from './client.ts'

export type SqlAnswer = { ok: true, ndjson: string } | { ok: false, detail: string }

/** What may hide a word from a reader, or look like one: strings, heredocs, quoted names, comments. */
const hidden = /'(?:[^'\\]|\\[^]|'')*'|\$(\w*)\$[^]*?\$\1\$|"(?:[^"\\]|\\[^]|"")*"|`(?:[^`\\]|\\[^]|``)*`|--[^\n]*|#[ !][^\n]*|\/\*[^]*?\*\//g

const readingStatement = /^[\s(]*(?:SELECT|WITH|SHOW\s+(?:CREATE|TABLES|COLUMNS|DATABASES|INDEX)|DESCRIBE|DESC|EXISTS|EXPLAIN)\b/i
/** What the engine says of itself, by name or by the functions that read tables by a pattern of names. */
const engineTables = /\b(?:system|information_schema)\s*\.|\b(?:FROM|IN)\s+(?:system|information_schema)\b|\b(?:merge\w*|cluster\w*|filesystem|eval)\s*\(/i

/**
 * Why a statement is not run, or undefined. The reader's connection refuses writes by itself; what is refused here is
 * what it lets through all the same: a list of statements, files beside the database, and what the engine says of itself.
 */
function findRefusal (query: string): string | undefined {
  if (query === '') return 'The body is empty; send one SQL statement.'
  if (query.includes('\0')) return 'SQL has no NUL.'
  const bare = query.replace(hidden, match => blank(match))
  if (bare.includes(';')) return 'Send one SQL statement.'
  if (!readingStatement.test(bare)) return 'Send a statement that reads: SELECT, WITH, SHOW, DESCRIBE, EXISTS or EXPLAIN.'
  if (/\bfile\s*\(|\bINTO\s+OUTFILE\b/i.test(bare)) return 'Files are out of reach.'
  if (engineTables.test(bare) || /""\s*\./.test(bare)) return 'The tables of the engine are out of reach.'
  if (/""\s*\(/.test(bare)) return 'Names of functions cannot be quoted.'
  return undefined
}

/** What stands for a hidden part: a quoted name that hides nothing for itself. */
function blank (part: string): string {
  if (part.startsWith("'") || part.startsWith('$')) return "''"
  if (!/^["`]/.test(part)) return ' '
  const name = part.slice(1, -1)
  return /^\w+$/.test(name) && !/^file$/i.test(name) ? ` ${name} ` : '""'
}

/** One statement on the reader's connection, answered as NDJSON. */
export async function runSql (reader: ClickHouseClient, statement: string): Promise<SqlAnswer> {
  const query = statement.trim().replace(/[;\s]+$/, '')
  const refusal = findRefusal(query)
  if (refusal !== undefined) return { ok: false, detail: refusal }
  try {
    return { ok: true, ndjson: await (await reader.query({ query, format: 'JSONEachRow' })).text() }
  } catch (error) {
    if (isClickHouseError(error)) return { ok: false, detail: error.message.slice(0, 500) }
    throw error
  }
}
