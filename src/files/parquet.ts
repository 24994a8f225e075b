/** Entries as Apache Parquet, a row group for each page. */
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import { ledgerColumns, type LedgerColumn, type LedgerFile } from '../domain/export.ts'

export function makeParquet (): LedgerFile {
  const bytes = new ByteWriter()
  const file = new ParquetWriter({ writer: bytes, schema: [{ name: 'ledger', num_children: ledgerColumns.length }, ...ledgerColumns.map(schemaOf)], statistics: false, createdBy: 'assent' })
  const take = (): Uint8Array => {
    const piece = bytes.getBytes().slice()
    bytes.index = 0 // What was taken need not be held; the offset in the file goes on.
    return piece
  }
  return {
    begin: take,
    page (entries) {
      if (entries.length === 0) return new Uint8Array()
      void file.write({
        columnData: ledgerColumns.map(({ name, kind, read }) => ({
          name, data: entries.map(entry => cellOf(kind, read(entry))), offsetIndex: false
        })),
        rowGroupSize: entries.length
      })
      return take()
    },
    end () {
      void file.finish()
      return take()
    }
  }
}

function cellOf (kind: LedgerColumn['kind'], cell: string | number | null): string | bigint | Date | null {
  if (typeof cell !== 'number') return cell
  return kind === 'time' ? new Date(cell) : BigInt(cell)
}

function schemaOf ({ name, kind }: LedgerColumn): SchemaElement {
  const shared = { name, repetition_type: 'OPTIONAL' } as const
  if (kind === 'number') return { ...shared, type: 'INT64' }
  return kind === 'text' ? { ...shared, type: 'BYTE_ARRAY', converted_type: 'UTF8' } : { ...shared, type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' }
}
