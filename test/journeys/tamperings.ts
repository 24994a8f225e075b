/** What somebody who can write to ClickHouse might do to the ledger of ada, bob and eve, how it shows, and how it is undone. */
import { edit, remove } from '../support/meddle.ts'

/** Each case takes place after the one before was made good: what is done, what shows, how it is undone. */
export interface Case { what: string, done: string[], shows: Record<string, unknown>, checkpointsOk?: boolean, undone: string[], alone?: Record<string, string> }

export const bob = (revision: number): string => `subject = 'a:bob' AND revision = ${String(revision)}`
export const copyOf = (where: string): string[] => ['DROP TABLE IF EXISTS kept', `CREATE TABLE kept ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM consent_ledger WHERE ${where}`]

export const cases: Case[] = [
  {
    what: 'an entry whose decision was edited',
    done: [...copyOf(bob(2)), edit('decision = \'granted\'', bob(2))],
    shows: { what: 'hash', subject: { kind: 'account', id: 'bob' }, revision: 2 },
    undone: [edit('decision = \'denied\'', bob(2))],
    alone: { account_id: 'bob' }
  },
  {
    what: 'an entry whose hash was edited',
    done: [...copyOf(bob(2)), edit('hash = repeat(\'0\', 64)', bob(2))],
    shows: { what: 'hash', revision: 2 },
    checkpointsOk: false,
    undone: [remove(bob(2)), 'INSERT INTO consent_ledger SELECT * FROM kept']
  },
  {
    what: 'what an entry is said to have changed',
    done: [edit('previous = \'absent\'', bob(3))],
    shows: { what: 'chain', subject: { kind: 'account', id: 'bob' }, revision: 3 },
    undone: [edit('previous = \'denied\'', bob(3))]
  },
  {
    what: 'two entries that were swapped',
    done: [...copyOf(`${bob(2)} OR ${bob(3)}`), remove(`${bob(2)} OR ${bob(3)}`), 'INSERT INTO consent_ledger SELECT * REPLACE (5 - revision AS revision) FROM kept'],
    shows: { what: 'hash', revision: 2 },
    undone: [remove(`${bob(2)} OR ${bob(3)}`), 'INSERT INTO consent_ledger SELECT * FROM kept']
  },
  {
    what: 'an entry that was removed in the middle',
    done: [...copyOf(bob(2)), remove(bob(2))],
    shows: { what: 'revision_missing', subject: { kind: 'account', id: 'bob' }, revision: 3 },
    checkpointsOk: false,
    undone: ['INSERT INTO consent_ledger SELECT * FROM kept'],
    alone: { account_id: 'bob' }
  },
  {
    what: 'a first entry that was removed',
    done: [...copyOf(bob(1)), remove(bob(1))],
    shows: { what: 'revision_missing', revision: 2 },
    checkpointsOk: false,
    undone: ['INSERT INTO consent_ledger SELECT * FROM kept'],
    alone: { account_id: 'bob' }
  },
  {
    what: 'a subject that was removed whole',
    done: [...copyOf('subject = \'a:bob\''), remove('subject = \'a:bob\'')],
    shows: { what: 'sequence_missing', sequence: 1 },
    checkpointsOk: false,
    undone: ['INSERT INTO consent_ledger SELECT * FROM kept']
  },
  {
    what: 'a last entry that was cut off',
    done: [...copyOf(bob(4)), remove(bob(4))],
    shows: { what: 'tail_missing', subject: { kind: 'account', id: 'bob' }, revision: 4 },
    checkpointsOk: false,
    undone: ['INSERT INTO consent_ledger SELECT * FROM kept'],
    alone: { account_id: 'bob' }
  },
  {
    what: 'an entry that was filed in another partition',
    done: [...copyOf(bob(4)), edit('partition = (partition + 1) % 16', bob(4))],
    shows: { what: 'partition', subject: { kind: 'account', id: 'bob' }, revision: 4 },
    checkpointsOk: false,
    undone: [edit('partition = (partition + 15) % 16', bob(4))]
  },
  {
    what: 'an entry that was copied to another subject',
    done: ['INSERT INTO consent_ledger SELECT * REPLACE (\'a:mallory\' AS subject) FROM (SELECT * FROM consent_ledger WHERE subject = \'a:bob\' AND revision = 1)'],
    shows: { what: 'partition', revision: 1 },
    undone: [remove('subject = \'a:mallory\'')]
  },
  {
    what: 'a second entry of one revision',
    done: ['INSERT INTO consent_ledger SELECT * REPLACE (generateUUIDv4() AS entry_id, 0 AS sequence) FROM consent_ledger WHERE subject = \'a:bob\' AND revision = 4',
      ...copyOf(`${bob(4)} AND sequence = 0`)],
    shows: { what: /^(?:hash|forked)$/, subject: { kind: 'account', id: 'bob' }, revision: 4 },
    undone: [remove(`${bob(4)} AND sequence = 0`)]
  },
  {
    what: 'an entry that lies in the table at another place as well',
    done: [...copyOf(bob(4)), 'INSERT INTO consent_ledger SELECT * REPLACE (1000000 AS sequence) FROM kept LIMIT 1'],
    shows: { what: 'place', subject: { kind: 'account', id: 'bob' }, revision: 4 },
    undone: [remove(bob(4)), 'INSERT INTO consent_ledger SELECT * FROM kept LIMIT 1'],
    alone: { account_id: 'bob' }
  },
  {
    what: 'an entry that lies in the table without a place as well',
    done: [...copyOf(bob(3)), 'INSERT INTO consent_ledger SELECT * REPLACE (0 AS sequence) FROM kept LIMIT 1'],
    shows: { what: 'place', subject: { kind: 'account', id: 'bob' }, revision: 3 },
    undone: [remove(bob(3)), 'INSERT INTO consent_ledger SELECT * FROM kept LIMIT 1'],
    alone: { account_id: 'bob' }
  },
  {
    what: 'two places that were swapped',
    done: [edit('sequence = 5 - sequence', `${bob(2)} OR ${bob(3)}`)],
    shows: { what: 'place', subject: { kind: 'account', id: 'bob' }, revision: 3 },
    checkpointsOk: false,
    undone: [edit('sequence = 5 - sequence', `${bob(2)} OR ${bob(3)}`)],
    alone: { account_id: 'bob' }
  },
  {
    what: 'a last entry whose place was moved away',
    done: [edit('sequence = 1000000', bob(4))],
    shows: { what: 'count_behind', sequence: 1_000_000 },
    checkpointsOk: false,
    undone: [edit('sequence = 4', bob(4))]
  },
  {
    what: 'an entry that cannot be read',
    done: [...copyOf(bob(2)), 'INSERT INTO consent_ledger SELECT * REPLACE (\'garbage\' AS via) FROM kept LIMIT 1'],
    shows: { what: 'hash', subject: { kind: 'account', id: 'bob' }, revision: 2 },
    undone: [remove(bob(2)), 'INSERT INTO consent_ledger SELECT * FROM kept LIMIT 1'],
    alone: { account_id: 'bob' }
  },
  {
    what: 'a checkpoint that was edited',
    done: ['DROP TABLE IF EXISTS kept', 'CREATE TABLE kept ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM ledger_checkpoints', 'ALTER TABLE ledger_checkpoints UPDATE sequences = arrayMap(x -> 0, sequences) WHERE 1'],
    shows: { what: 'checkpoint_signature' },
    checkpointsOk: false,
    undone: [remove('1', 'ledger_checkpoints'), 'INSERT INTO ledger_checkpoints SELECT * FROM kept']
  },
  {
    what: 'a newest checkpoint that was deleted',
    done: [remove('1', 'ledger_checkpoints')],
    shows: { what: 'checkpoint_broken' },
    checkpointsOk: false,
    undone: ['INSERT INTO ledger_checkpoints SELECT * FROM kept']
  }
]
