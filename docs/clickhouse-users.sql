-- The users of a remote ClickHouse, each with no more than it needs. `assent` is the database of CLICKHOUSE_DATABASE;
-- set passwords of your own. On a cluster add ON CLUSTER to each statement.

CREATE DATABASE IF NOT EXISTS assent;

-- CLICKHOUSE_USER: inserts, asks what is stored already, and deletes what is erased, which are events. The ledger, the
-- access log and the certificates it can only add to.
CREATE USER IF NOT EXISTS assent_writer IDENTIFIED WITH sha256_password BY 'PASSWORD';
GRANT SELECT, INSERT ON assent.* TO assent_writer;
GRANT ALTER DELETE ON assent.events TO assent_writer;
GRANT ALTER DELETE ON assent.failed_events TO assent_writer;
GRANT SELECT ON system.mutations TO assent_writer;
GRANT SELECT ON system.clusters TO assent_writer;

-- Migrate as this user: the view that unrolls events works with the rights of whoever made it, so do not drop that user
-- or take these rights from them.
-- What migrations need besides. It may be taken away again once a version has started: with nothing to apply a start only reads.
GRANT CREATE TABLE, DROP TABLE, CREATE VIEW, DROP VIEW, ALTER ADD COLUMN, ALTER ADD INDEX, ALTER MATERIALIZE INDEX ON assent.* TO assent_writer;
GRANT CLUSTER ON *.* TO assent_writer;

-- CLICKHOUSE_READER_USER: what the privacy team asks, and exports. It reads tables, not only views: who verifies the ledger
-- must see what was written over an entry. Give its profile no `readonly`: the connection sets that
-- with limits of its own, which a profile that is read-only already would refuse.
CREATE USER IF NOT EXISTS assent_reader IDENTIFIED WITH sha256_password BY 'PASSWORD';
GRANT SELECT ON assent.* TO assent_reader;
