/**
 * The catalog's tables, as numbered SQL migrations; docs/internals/catalog.md explains them. A new catalog runs
 * all of them. A catalog of another version is not migrated but folded again from its journal, which is
 * always possible and always right.
 *
 * LSN ranges: a row is true from `from_lsn` up to, not including, `to_lsn`; NULL = still true.
 */
const initial = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE commits (lsn INTEGER PRIMARY KEY, time INTEGER NOT NULL);
CREATE TABLE checkpoint (lsn INTEGER PRIMARY KEY, cause TEXT NOT NULL, label TEXT, account TEXT);

CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE account_life (
  account_id INTEGER NOT NULL, from_lsn INTEGER NOT NULL, to_lsn INTEGER,
  PRIMARY KEY (account_id, from_lsn)) WITHOUT ROWID;
CREATE TABLE subscription (
  account_id INTEGER NOT NULL, from_lsn INTEGER NOT NULL, to_lsn INTEGER, names TEXT NOT NULL,
  PRIMARY KEY (account_id, from_lsn)) WITHOUT ROWID;

CREATE TABLE mailbox (
  id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, uid_validity INTEGER NOT NULL,
  from_lsn INTEGER NOT NULL, to_lsn INTEGER);
CREATE INDEX mailbox_of_account ON mailbox (account_id);
CREATE TABLE mailbox_attributes (
  mailbox_id INTEGER NOT NULL, from_lsn INTEGER NOT NULL, to_lsn INTEGER,
  name TEXT NOT NULL, delimiter TEXT, guid TEXT, special_use TEXT NOT NULL, subscribed INTEGER NOT NULL,
  PRIMARY KEY (mailbox_id, from_lsn)) WITHOUT ROWID;
CREATE TABLE position (
  mailbox_id INTEGER PRIMARY KEY, uid_next INTEGER NOT NULL, highest_mod_seq TEXT, complete INTEGER NOT NULL);

CREATE TABLE body (
  lsn INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
  subject TEXT NOT NULL, sender TEXT NOT NULL, message_id TEXT NOT NULL);
CREATE TABLE guid (
  id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, guid NOT NULL, body_lsn INTEGER NOT NULL,
  UNIQUE (account_id, guid, body_lsn));
CREATE TABLE flag_set (id INTEGER PRIMARY KEY, flags TEXT NOT NULL UNIQUE);

CREATE TABLE message (
  mailbox_id INTEGER NOT NULL, uid INTEGER NOT NULL, from_lsn INTEGER NOT NULL, to_lsn INTEGER,
  body_lsn INTEGER NOT NULL, size INTEGER NOT NULL, date NOT NULL, flags_id INTEGER NOT NULL, guid_id INTEGER,
  PRIMARY KEY (mailbox_id, uid, from_lsn)) WITHOUT ROWID;
CREATE INDEX message_of_body ON message (body_lsn);
CREATE TABLE flags_past (
  mailbox_id INTEGER NOT NULL, uid INTEGER NOT NULL, to_lsn INTEGER NOT NULL, flags_id INTEGER NOT NULL,
  PRIMARY KEY (mailbox_id, uid, to_lsn)) WITHOUT ROWID;
CREATE TABLE message_block (
  mailbox_id INTEGER NOT NULL, block INTEGER NOT NULL,
  first_from INTEGER NOT NULL, last_to INTEGER NOT NULL, alive INTEGER NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (mailbox_id, block)) WITHOUT ROWID;
CREATE TABLE removal (
  lsn INTEGER NOT NULL, mailbox_id INTEGER NOT NULL, messages INTEGER NOT NULL,
  PRIMARY KEY (lsn, mailbox_id)) WITHOUT ROWID;
CREATE TABLE set_aside (
  mailbox_id INTEGER NOT NULL, uid INTEGER NOT NULL, from_lsn INTEGER NOT NULL, to_lsn INTEGER,
  code TEXT NOT NULL, detail TEXT NOT NULL,
  PRIMARY KEY (mailbox_id, uid, from_lsn)) WITHOUT ROWID;

CREATE TABLE frame (first_lsn INTEGER PRIMARY KEY, segment TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL);
`;

export const migrations: readonly string[] = [initial];

export const SCHEMA_VERSION = migrations.length;

/** UIDs per row of `message_block`: the piece of a mailbox that a listing reads, or skips, at once. */
export const BLOCK_UIDS = 1024;
