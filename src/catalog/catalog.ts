import { existsSync, statSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { Lsn, MailboxId } from '../journal/index.ts';
import { hasCode, messageOf, type UnderstudyError } from '../lib/index.ts';
import { catalogErrors } from './errors.ts';
import { type CatalogEntry, Fold, type FrameRow } from './fold.ts';
import { internalDateMs, unpackDate } from './internal-date.ts';
import { packGuid, unpackFlags, unpackGuid } from './packing.ts';
import { resolveAt } from './resolve-at.ts';
import { BLOCK_UIDS, migrations, SCHEMA_VERSION } from './schema.ts';
import type {
  AccountRow,
  CheckpointRow,
  MailboxRow,
  MessageRow,
  RawSummary,
  Removal,
  SetAsideRow,
} from './types.ts';

export interface MessagesQuery {
  /** State after the commit at or before this LSN; default: now. */
  readonly at?: Lsn;
  /** Only messages with a higher UID: the last one of the previous page. */
  readonly afterUid?: number;
  /** Default 1000. */
  readonly limit?: number;
}

export interface RemovalsQuery {
  readonly account?: string;
  /** Name the mailbox had when the messages were removed. */
  readonly mailbox?: string;
  /** Both ends included. */
  readonly since?: Lsn;
  readonly until?: Lsn;
  /** Newest first; default 100. */
  readonly limit?: number;
}

type Row = Record<string, SQLInputValue>;

/**
 * The index of one journal in one SQLite file: what was true of the server at any LSN. Everything in it comes
 * from `apply`; it can be deleted and folded again.
 *
 * One instance belongs to one thread. Queries are synchronous and see whole commits only.
 */
export class Catalog {
  readonly journalId: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #flagSets = new Map<number, readonly string[]>();
  #fold: Fold | undefined;
  #appliedLsn: Lsn;
  readonly #readOnly: boolean;
  readonly #file: string;
  readonly #inode: bigint | undefined;
  /** Called whenever SQLite says that it cannot read the catalog, before that is thrown. Must not throw. */
  onDamage: (error: UnderstudyError) => void = () => {};

  private constructor(db: DatabaseSync, file: string, inode: bigint | undefined, readOnly: boolean) {
    this.#db = db;
    this.#file = file;
    this.#inode = inode;
    this.#readOnly = readOnly;
    const { journalId, appliedLsn } = readMeta(db);
    this.journalId = journalId;
    this.#appliedLsn = appliedLsn;
  }

  /**
   * What a catalog says of its journal, whatever its version; undefined where there is no catalog, or none that can be read.
   * Errors: CATALOG_STORAGE_FAILED.
   */
  static peek(file: string): CatalogMeta | undefined {
    if (!existsSync(file)) return undefined;
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(file, { readOnly: true, timeout: busyTimeoutMs });
      const meta = readMeta(db);
      return Number.isSafeInteger(meta.appliedLsn) ? meta : undefined;
    } catch (error) {
      const failure = sqliteFailure(error, file);
      if (hasCode(failure, 'CATALOG_DAMAGED')) return undefined;
      throw failure;
    } finally {
      db?.close();
    }
  }

  /** Makes an empty catalog of a journal. The file must not exist. Errors: CATALOG_STORAGE_FAILED. */
  static create(file: string, journalId: string): Catalog {
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(file, { timeout: busyTimeoutMs });
      setPragmas(db);
      db.exec('BEGIN');
      for (const sql of migrations) db.exec(sql);
      db.prepare(`INSERT INTO meta (key, value) VALUES ('journal_id', ?), ('applied_lsn', 0)`).run(journalId);
      db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
      return new Catalog(db, file, inodeOf(file), false);
    } catch (error) {
      db?.close();
      throw sqliteFailure(error, file);
    }
  }

  /** Opens a catalog that is there. Errors: CATALOG_DAMAGED, CATALOG_SCHEMA_OTHER, CATALOG_STORAGE_FAILED. */
  static open(file: string, options: { readOnly?: boolean } = {}): Catalog {
    const readOnly = options.readOnly ?? false;
    let db: DatabaseSync | undefined;
    try {
      // Asked first: a file that takes its place just now makes this one look replaced, never the other way round.
      const inode = inodeOf(file);
      db = new DatabaseSync(file, { readOnly, timeout: busyTimeoutMs });
      const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
      if (version !== SCHEMA_VERSION) {
        throw catalogErrors.make(
          'CATALOG_SCHEMA_OTHER',
          `catalog ${file} has schema version ${version}, this version of Understudy needs ${SCHEMA_VERSION}`,
        );
      }
      if (readOnly) db.exec(`PRAGMA cache_size = ${cachePages}`);
      else setPragmas(db);
      return new Catalog(db, file, inode, readOnly);
    } catch (error) {
      db?.close();
      throw sqliteFailure(error, file);
    }
  }

  /** LSN up to which the journal is in here: that of a commit, outside of a rebuild. Fresh also when another process applies. */
  get appliedLsn(): Lsn {
    if (this.#readOnly)
      this.#appliedLsn = this.#number(`SELECT value FROM meta WHERE key = 'applied_lsn'`) as Lsn;
    return this.#appliedLsn;
  }

  /** Whether the file was removed, or another one is in its place: what is open here is seen by nobody else then. */
  get isReplaced(): boolean {
    return inodeOf(this.#file) !== this.#inode;
  }

  /** Applies journal entries in one transaction: `Fold.apply`. Errors: CATALOG_RECORD_INVALID, CATALOG_STORAGE_FAILED, CATALOG_DAMAGED. */
  apply(entries: Iterable<CatalogEntry>, frames: Iterable<FrameRow> = []): void {
    try {
      this.#fold ??= new Fold(this.#db);
      this.#appliedLsn = this.#fold.apply(this.#appliedLsn, entries, frames);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Accounts that live at `at` (default now), by name. */
  accounts(at?: Lsn): AccountRow[] {
    return this.#accountRows(at, undefined);
  }

  /** Their names alone, at a fraction of the cost. */
  accountNames(at?: Lsn): string[] {
    return this.#all(
      `SELECT a.name FROM account a JOIN account_life l ON l.account_id = a.id
         AND l.from_lsn <= :at AND (l.to_lsn IS NULL OR l.to_lsn > :at) ORDER BY a.name`,
      { at: this.#commitAt(at) },
    ).map(({ name }) => name as string);
  }

  /** The account as of `at`; undefined when it does not live then. */
  account(name: string, at?: Lsn): AccountRow | undefined {
    return this.#accountRows(at, name)[0];
  }

  #accountRows(at: Lsn | undefined, name: string | undefined): AccountRow[] {
    const commit = this.#commitAt(at);
    const rows = this.#all(
      `${accountSelect} JOIN account_life l ON l.account_id = a.id
         AND l.from_lsn <= :at AND (l.to_lsn IS NULL OR l.to_lsn > :at)
       WHERE :name IS NULL OR a.name = :name ORDER BY a.name`,
      { at: commit, name: name ?? null },
    );
    return rows.map((row) => ({
      ...accountLife(row),
      ...this.#accountTotals(row.id as number, at === undefined ? undefined : commit),
    }));
  }

  /** Every account that ever was, by name; those gone have `goneLsn`. Counts are of now. */
  accountsEver(): AccountRow[] {
    const rows = this.#all(`${accountSelect} ORDER BY a.name`, []);
    return rows.map((row) => ({
      ...accountLife(row),
      ...this.#accountTotals(row.id as number, undefined),
    }));
  }

  #accountTotals(accountId: number, at: Lsn | undefined) {
    const row = this.#get(
      `SELECT count(DISTINCT m.id) AS mailboxes, coalesce(sum(b.alive), 0) AS messages, coalesce(sum(b.bytes), 0) AS bytes,
         ${lastCommitLsn} AS now
       FROM mailbox m LEFT JOIN message_block b ON b.mailbox_id = m.id
       WHERE m.account_id = ? AND m.to_lsn IS NULL`,
      [accountId],
    ) as Row;
    if (!isPast(at, row)) {
      return {
        mailboxCount: row.mailboxes as number,
        messageCount: row.messages as number,
        bytes: row.bytes as number,
      };
    }
    const mailboxes = this.#all(
      `SELECT id FROM mailbox WHERE account_id = :account AND from_lsn <= :at AND (to_lsn IS NULL OR to_lsn > :at)`,
      { account: accountId, at },
    );
    let messageCount = 0;
    let bytes = 0;
    for (const { id } of mailboxes) {
      const totals = this.#pastTotals(id as MailboxId, at);
      messageCount += totals.messages;
      bytes += totals.bytes;
    }
    return { mailboxCount: mailboxes.length, messageCount, bytes };
  }

  #pastTotals(id: MailboxId, at: Lsn): { messages: number; bytes: number } {
    const row = this.#get(
      `SELECT count(*) AS messages, coalesce(sum(m.size), 0) AS bytes
       FROM message_block b CROSS JOIN message m
       WHERE b.mailbox_id = :id AND b.first_from <= :at AND (b.alive > 0 OR b.last_to > :at)
         AND m.mailbox_id = :id AND m.uid >= b.block * ${BLOCK_UIDS} AND m.uid < (b.block + 1) * ${BLOCK_UIDS}
         AND m.from_lsn <= :at AND (m.to_lsn IS NULL OR m.to_lsn > :at)`,
      { id, at },
    ) as Row;
    return { messages: row.messages as number, bytes: row.bytes as number };
  }

  /** Mailboxes of an account that live at `at`, by name (INBOX first). */
  mailboxes(account: string, at?: Lsn): MailboxRow[] {
    const rows = this.#all(
      `${mailboxSelect} WHERE b.account_id = (SELECT id FROM account WHERE name = :account)
         AND b.from_lsn <= :at AND (b.to_lsn IS NULL OR b.to_lsn > :at) ORDER BY t.name`,
      { account, at: this.#commitAt(at) },
    );
    const found = rows.map(mailboxRow);
    return [...found.filter(({ name }) => isInbox(name)), ...found.filter(({ name }) => !isInbox(name))];
  }

  /** Mailboxes of an account that live at `at`, each with the number of its messages and `uidNextAt`: what STATUS tells, in one go. */
  mailboxStates(
    account: string,
    at: Lsn,
  ): { readonly row: MailboxRow; readonly messages: number; readonly uidNext: number }[] {
    const rows = this.#all(
      `SELECT *, ${lastCommitLsn} AS now,
         (SELECT coalesce(sum(alive), 0) FROM message_block WHERE mailbox_id = living.id) AS messages
       FROM (${mailboxSelect} WHERE b.account_id = (SELECT id FROM account WHERE name = :account)
         AND b.from_lsn <= :at AND (b.to_lsn IS NULL OR b.to_lsn > :at)) living`,
      { account, at: this.#commitAt(at) },
    );
    return rows.map((found) => {
      const row = mailboxRow(found);
      return isPast(at, found)
        ? { row, messages: this.countMessages(row.id, at).messages, uidNext: this.uidNextAt(row.id, at) }
        : { row, messages: found.messages as number, uidNext: row.uidNext };
    });
  }

  /** The mailbox of this name that lives at `at`; INBOX in any letter case (RFC 9051 section 5.1). */
  mailboxByName(account: string, name: string, at?: Lsn): MailboxRow | undefined {
    return this.mailboxes(account, at).find(
      (row) => row.name === name || (isInbox(name) && isInbox(row.name)),
    );
  }

  /** The mailbox incarnation with its attributes as of `at`; undefined when it does not live then. */
  mailboxById(id: MailboxId, at?: Lsn): MailboxRow | undefined {
    const row = this.#get(
      `${mailboxSelect} WHERE b.id = :id AND b.from_lsn <= :at AND (b.to_lsn IS NULL OR b.to_lsn > :at)`,
      { id, at: this.#commitAt(at) },
    );
    return row && mailboxRow(row);
  }

  /** Every incarnation that ever was, or those of one account, with its last attributes; oldest first. */
  mailboxHistory(account?: string): MailboxLife[] {
    return this.#all(
      `SELECT b.id, a.name AS account, b.uid_validity, b.from_lsn AS first, b.to_lsn AS gone,
         (SELECT t.name FROM mailbox_attributes t WHERE t.mailbox_id = b.id ORDER BY t.from_lsn DESC LIMIT 1) AS name
       FROM mailbox b JOIN account a ON a.id = b.account_id WHERE :account IS NULL OR a.name = :account ORDER BY b.id`,
      { account: account ?? null },
    ).map((row) => ({
      id: row.id as MailboxId,
      account: row.account as string,
      name: row.name as string,
      uidValidity: row.uid_validity as number,
      firstLsn: row.first as Lsn,
      ...(row.gone === null ? {} : { goneLsn: row.gone as Lsn }),
    }));
  }

  /** The account's subscription list at `at`; empty when none was ever recorded. */
  subscriptions(account: string, at?: Lsn): readonly string[] {
    const row = this.#get(
      `SELECT names FROM subscription WHERE account_id = (SELECT id FROM account WHERE name = :account)
         AND from_lsn <= :at AND (to_lsn IS NULL OR to_lsn > :at)`,
      { account, at: this.#commitAt(at) },
    );
    return row ? (JSON.parse(row.names as string) as string[]) : [];
  }

  /** Messages of a mailbox incarnation, ascending by UID; none when the mailbox does not live at `at`. */
  messages(mailboxId: MailboxId, query: MessagesQuery = {}): MessageRow[] {
    const found: MessageRow[] = [];
    for (const rows of this.#pages(mailboxId, query))
      for (const row of rows) found.push(this.#messageRow(row));
    return found;
  }

  /** The same with the raw header values that a listing shows; `history` decodes them. */
  summaries(mailboxId: MailboxId, query: MessagesQuery = {}): RawSummary[] {
    const found: RawSummary[] = [];
    for (const rows of this.#pages(mailboxId, query)) for (const row of rows) found.push(this.#summary(row));
    return found;
  }

  /** One message, undefined when it is not there at `at`. */
  summary(mailboxId: MailboxId, uid: number, at?: Lsn): RawSummary | undefined {
    const query = { afterUid: uid - 1, limit: 1, ...(at === undefined ? {} : { at }) };
    const found = this.summaries(mailboxId, query)[0];
    return found?.uid === uid ? found : undefined;
  }

  /** All messages of a mailbox in ascending UID with bounded memory; the catalog may change meanwhile, the answer does not. */
  *iterateMessages(mailboxId: MailboxId, at?: Lsn): Iterable<MessageRow> {
    const fixed = this.#commitAt(at);
    const query = { at: fixed, limit: Number.POSITIVE_INFINITY };
    for (const rows of this.#pages(mailboxId, query)) for (const row of rows) yield this.#messageRow(row);
  }

  /** UID and flags of every living message, ascending: what is compared with a server without CONDSTORE. */
  *uidsWithFlags(
    mailboxId: MailboxId,
  ): Iterable<{ readonly uid: number; readonly flags: readonly string[] }> {
    if (!this.#livesAt(mailboxId, LSN_MAX as Lsn)) return;
    let after = -1;
    for (;;) {
      const rows = this.#all(
        `SELECT uid, flags_id FROM message WHERE mailbox_id = ? AND uid > ? AND to_lsn IS NULL ORDER BY uid LIMIT 5000`,
        [mailboxId, after],
      );
      for (const row of rows) yield { uid: row.uid as number, flags: this.#flags(row.flags_id as number) };
      if (rows.length < 5000) return;
      after = rows.at(-1)?.uid as number;
    }
  }

  /** One array of messages per block of UIDs that holds any at that time. */
  *#pages(mailboxId: MailboxId, query: MessagesQuery): Iterable<Row[]> {
    const at = this.#commitAt(query.at);
    if (!this.#livesAt(mailboxId, at)) return;
    let left = query.limit ?? 1000;
    let after = query.afterUid ?? -1;
    while (left > 0) {
      const block = this.#get(
        `SELECT block FROM message_block WHERE mailbox_id = :id AND block >= :block AND first_from <= :at
           AND (alive > 0 OR last_to > :at) ORDER BY block LIMIT 1`,
        { id: mailboxId, block: Math.floor((after + 1) / BLOCK_UIDS), at },
      )?.block as number | undefined;
      if (block === undefined) return;
      const last = block * BLOCK_UIDS + BLOCK_UIDS - 1;
      const limit = Math.min(left, BLOCK_UIDS);
      const rows = this.#all(this.#isNow(at) ? pageNow : pagePast, { id: mailboxId, after, last, at, limit });
      if (rows.length > 0) yield rows;
      left -= rows.length;
      after = rows.length === limit ? (rows.at(-1)?.uid as number) : last;
    }
  }

  #messageRow(row: Row): MessageRow {
    return {
      mailboxId: row.mailbox_id as MailboxId,
      uid: row.uid as number,
      bodyLsn: row.body_lsn as Lsn,
      hash: row.hash as Uint8Array,
      size: row.size as number,
      flags: this.#flags((row.past_flags_id ?? row.flags_id) as number),
      date: unpackDate(row.date as number | string),
      ...(row.guid === null ? {} : { guid: unpackGuid(row.guid as Uint8Array | string) }),
    };
  }

  #summary(row: Row): RawSummary {
    return {
      ...this.#messageRow(row),
      subject: row.subject as string,
      from: row.sender as string,
      messageId: row.message_id as string,
    };
  }

  #flags(id: number): readonly string[] {
    const known = this.#flagSets.get(id);
    if (known) return known;
    const flags = unpackFlags(this.#get('SELECT flags FROM flag_set WHERE id = ?', [id])?.flags as string);
    if (this.#flagSets.size >= flagSetsKept) this.#flagSets.clear();
    this.#flagSets.set(id, flags);
    return flags;
  }

  /**
   * UIDNEXT that may be set on a copy of the mailbox as of `at`: rows have that of now, and a message that came in between
   * could not get its UID any more.
   */
  uidNextAt(mailboxId: MailboxId, at: Lsn): number {
    const present = this.#get(`SELECT uid_next, ${lastCommitLsn} AS now FROM position WHERE mailbox_id = ?`, [
      mailboxId,
    ]);
    if (present && !isPast(at, present)) return present.uid_next as number;
    const row = this.#get(
      `SELECT min(coalesce((SELECT min(uid) FROM message WHERE mailbox_id = :id AND from_lsn > :at
           AND uid > coalesce((SELECT max(uid) FROM message WHERE mailbox_id = :id AND from_lsn <= :at), 0)), p.uid_next),
         p.uid_next) AS uid_next FROM position p WHERE p.mailbox_id = :id`,
      { id: mailboxId, at },
    );
    return (row?.uid_next ?? 1) as number;
  }

  /**
   * The latest point up to `until` at which most of these UIDs were in the mailbox, and how many; undefined when none ever was.
   * By the messages themselves: however much else was removed since.
   */
  fullestPoint(
    mailboxId: MailboxId,
    ranges: readonly { readonly from: number; readonly to: number }[],
    until: Lsn,
  ): { readonly lsn: Lsn; readonly count: number } | undefined {
    const row = this.#get(
      `WITH wanted AS (
         SELECT m.from_lsn, m.to_lsn FROM json_each(:ranges) r CROSS JOIN message m WHERE m.mailbox_id = :id
           AND m.uid BETWEEN r.value ->> 'from' AND r.value ->> 'to' AND m.from_lsn <= :until),
       changes AS (SELECT from_lsn AS lsn, 1 AS change FROM wanted
         UNION ALL SELECT to_lsn, -1 FROM wanted WHERE to_lsn <= :until),
       steps AS (SELECT (SELECT min(lsn) FROM commits WHERE lsn > c.lsn) AS lsn, sum(change) AS change FROM changes c GROUP BY 1),
       counts AS (SELECT lsn, sum(change) OVER (ORDER BY lsn) AS held, lead(lsn) OVER (ORDER BY lsn) AS next FROM steps)
       SELECT held, next FROM counts ORDER BY held DESC, lsn DESC LIMIT 1`,
      { id: mailboxId, ranges: JSON.stringify(ranges), until },
    );
    if (!row) return undefined;
    const before = row.next === null ? undefined : this.commitAtOrBefore(((row.next as Lsn) - 1) as Lsn);
    return { lsn: before?.lsn ?? until, count: row.held as number };
  }

  /** Whether the mailbox ever held a message of this size and INTERNALDATE under this UID. `dateMs`: undefined = no date that can be read. */
  everHeld(mailboxId: MailboxId, uid: number, size: number, dateMs: number | undefined): boolean {
    const sql = 'SELECT date FROM message WHERE mailbox_id = ? AND uid = ? AND size = ?';
    return this.#all(sql, [mailboxId, uid, size]).some(
      ({ date }) => internalDateMs(unpackDate(date as number | string)) === dateMs,
    );
  }

  /** Messages in a mailbox at `at`, and their bytes. */
  countMessages(mailboxId: MailboxId, at?: Lsn): { readonly messages: number; readonly bytes: number } {
    const commit = this.#commitAt(at);
    if (!this.#livesAt(mailboxId, commit)) return { messages: 0, bytes: 0 };
    const row = this.#get(
      `SELECT coalesce(sum(alive), 0) AS messages, coalesce(sum(bytes), 0) AS bytes, ${lastCommitLsn} AS now
       FROM message_block WHERE mailbox_id = ?`,
      [mailboxId],
    ) as Row;
    if (isPast(at, row)) return this.#pastTotals(mailboxId, commit);
    return { messages: row.messages as number, bytes: row.bytes as number };
  }

  /** Where a body is a message at `at`: a search hit's places. */
  placesOfBody(bodyLsn: Lsn, at?: Lsn): { readonly mailboxId: MailboxId; readonly uid: number }[] {
    const rows = this.#all(
      `SELECT m.mailbox_id, m.uid FROM message m JOIN mailbox b ON b.id = m.mailbox_id
       WHERE m.body_lsn = :body AND m.from_lsn <= :at AND (m.to_lsn IS NULL OR m.to_lsn > :at)
         AND b.from_lsn <= :at AND (b.to_lsn IS NULL OR b.to_lsn > :at) ORDER BY m.mailbox_id, m.uid`,
      { body: bodyLsn, at: this.#commitAt(at) },
    );
    return rows.map((row) => ({ mailboxId: row.mailbox_id as MailboxId, uid: row.uid as number }));
  }

  /** Messages that the server shows but could not serve rightly, as of `at`. */
  setAside(account?: string, at?: Lsn): SetAsideRow[] {
    return this.#all(
      `SELECT s.mailbox_id, s.uid, s.code, s.detail FROM set_aside s JOIN mailbox b ON b.id = s.mailbox_id
         JOIN account a ON a.id = b.account_id
       WHERE (:account IS NULL OR a.name = :account) AND s.from_lsn <= :at AND (s.to_lsn IS NULL OR s.to_lsn > :at)
       ORDER BY s.mailbox_id, s.uid`,
      { account: account ?? null, at: this.#commitAt(at) },
    ).map((row) => ({
      mailboxId: row.mailbox_id as MailboxId,
      uid: row.uid as number,
      code: row.code as string,
      detail: row.detail as string,
    }));
  }

  /**
   * Checkpoints, oldest first. `lsn` is the commit a checkpoint stands for, to be used as `at`: for a burst the
   * one before it, else the one that holds the checkpoint; `time` is that commit's.
   */
  checkpoints(): CheckpointRow[] {
    return this.#checkpointRows('');
  }

  /** The newest checkpoint of any cause. */
  lastCheckpoint(): CheckpointRow | undefined {
    return this.#checkpointRows('WHERE k.lsn = (SELECT max(lsn) FROM checkpoint)').at(-1);
  }

  /** The first point at which the whole server was known: a first pass had ended, or an operator named the state. */
  firstWholeCheckpoint(): CheckpointRow | undefined {
    return this.#checkpointRows(
      `WHERE k.lsn = (SELECT min(lsn) FROM checkpoint WHERE cause IN ('pass', 'operator'))`,
    )[0];
  }

  /** When the account had been looked at to its end for the first time: its subscriptions are journaled then, after all its mail. */
  firstWholeLook(account: string): Commit | undefined {
    const row = this.#get(
      `SELECT min(from_lsn) AS lsn FROM subscription WHERE account_id = (SELECT id FROM account WHERE name = ?)`,
      [account],
    );
    return typeof row?.lsn === 'number' ? this.commitAtOrAfter(row.lsn as Lsn) : undefined;
  }

  /** The checkpoint with this label (the newest, should there be several). */
  checkpointByLabel(label: string): CheckpointRow | undefined {
    return this.#checkpointRows('WHERE k.label = :label', { label }).at(-1);
  }

  #checkpointRows(where: string, values: Row = {}): CheckpointRow[] {
    return this.#all(
      `SELECT k.cause, k.label, k.account, c.lsn, c.time FROM checkpoint k JOIN commits c ON c.lsn = CASE k.cause
         WHEN 'burst' THEN coalesce((SELECT max(lsn) FROM commits WHERE lsn < k.lsn), (SELECT min(lsn) FROM commits WHERE lsn > k.lsn))
         ELSE (SELECT min(lsn) FROM commits WHERE lsn > k.lsn) END ${where} ORDER BY k.lsn`,
      values,
    ).map((row) => ({
      lsn: row.lsn as Lsn,
      time: row.time as number,
      ...(row.label === null ? {} : { label: row.label as string }),
      cause: row.cause as CheckpointRow['cause'],
      ...(row.account === null ? {} : { account: row.account as string }),
    }));
  }

  /** The first commit, undefined while there is none. */
  firstCommit(): Commit | undefined {
    return this.#commit('SELECT lsn, time FROM commits ORDER BY lsn LIMIT 1');
  }

  /** The newest commit. */
  lastCommit(): Commit | undefined {
    return this.#commit('SELECT lsn, time FROM commits ORDER BY lsn DESC LIMIT 1');
  }

  /** The last commit at or before an LSN. */
  commitAtOrBefore(lsn: Lsn): Commit | undefined {
    return this.#commit('SELECT lsn, time FROM commits WHERE lsn <= ? ORDER BY lsn DESC LIMIT 1', lsn);
  }

  /** The commit that made a record visible: the first at or after its LSN. */
  commitAtOrAfter(lsn: Lsn): Commit | undefined {
    return this.#commit('SELECT lsn, time FROM commits WHERE lsn >= ? ORDER BY lsn LIMIT 1', lsn);
  }

  /** The last commit at or before a wall time in ms. Times never decrease with LSNs, so bisection finds it without an index. */
  commitAtTime(timeMs: number): Commit | undefined {
    let low = this.firstCommit();
    if (!low || low.time > timeMs) return undefined;
    let high = (this.lastCommit() as Commit).lsn + 1;
    while (high - low.lsn > 1) {
      const middle = Math.floor((low.lsn + high) / 2) as Lsn;
      const found = this.commitAtOrBefore(middle) as Commit;
      if (found.time > timeMs) high = found.lsn;
      else if (found.lsn > low.lsn) low = found;
      else {
        const next = this.#commit('SELECT lsn, time FROM commits WHERE lsn > ? ORDER BY lsn LIMIT 1', middle);
        if (!next || next.lsn >= high || next.time > timeMs) return low;
        low = next;
      }
    }
    return low;
  }

  /** Wall time in ms of the state at an LSN: that of the commit at or before it. */
  timeOf(lsn: Lsn): number | undefined {
    return this.commitAtOrBefore(lsn)?.time;
  }

  /** The commit that an operator's `T` means, of `account` where only that is meant; `nowMs` is wall time. Errors: see `resolve-at.ts`. */
  resolveAt(spec: string, nowMs: number, account?: string): Lsn {
    return resolveAt(this, spec, nowMs, account);
  }

  /** How many messages were removed when and where, newest first: one row per commit and mailbox. */
  removals(query: RemovalsQuery = {}): Removal[] {
    return this.#all(
      `SELECT (SELECT min(lsn) FROM commits WHERE lsn > r.lsn) AS commit_lsn, a.name AS account, t.name AS mailbox,
         r.mailbox_id, sum(r.messages) AS messages, b.to_lsn = r.lsn AS gone
       FROM removal r JOIN mailbox b ON b.id = r.mailbox_id JOIN account a ON a.id = b.account_id
         JOIN mailbox_attributes t ON t.mailbox_id = r.mailbox_id AND t.from_lsn =
           (SELECT max(from_lsn) FROM mailbox_attributes WHERE mailbox_id = r.mailbox_id AND from_lsn <= r.lsn)
       WHERE r.lsn BETWEEN :since AND :until AND (:account IS NULL OR a.name = :account)
         AND (:mailbox IS NULL OR t.name = :mailbox OR (upper(:mailbox) = 'INBOX' AND upper(t.name) = 'INBOX'))
       GROUP BY commit_lsn, r.mailbox_id ORDER BY commit_lsn DESC, r.mailbox_id LIMIT :limit`,
      {
        since: query.since ?? 0,
        until: query.until ?? LSN_MAX,
        account: query.account ?? null,
        mailbox: query.mailbox ?? null,
        limit: query.limit ?? 100,
      },
    ).map((row) => ({
      lsn: row.commit_lsn as Lsn,
      time: this.timeOf(row.commit_lsn as Lsn) as number,
      account: row.account as string,
      mailbox: row.mailbox as string,
      mailboxId: row.mailbox_id as MailboxId,
      count: row.messages as number,
      mailboxGone: row.gone === 1,
    }));
  }

  /** The body with this hash: LSN of its first piece. */
  bodyLsn(hash: Uint8Array): Lsn | undefined {
    const recent = this.#fold?.recentBodyLsn(hash);
    return recent ?? (this.#get('SELECT lsn FROM body WHERE hash = ?', [hash])?.lsn as Lsn | undefined);
  }

  /** The body that a server's message id stood for in this account, if it had this size. */
  bodyByGuid(
    account: string,
    guid: string,
    size: number,
  ): { hash: Uint8Array; size: number; lsn: Lsn } | undefined {
    const row = this.#get(
      `SELECT b.lsn, b.hash, b.size FROM guid g JOIN body b ON b.lsn = g.body_lsn
       WHERE g.account_id = (SELECT id FROM account WHERE name = ?) AND g.guid = ? AND b.size = ?`,
      [account, packGuid(guid), size],
    );
    return row && { hash: row.hash as Uint8Array, size: row.size as number, lsn: row.lsn as Lsn };
  }

  /** Highest mailbox id so far, 0 when there is none. */
  lastMailboxId(): number {
    return this.#number('SELECT coalesce(max(id), 0) AS value FROM mailbox');
  }

  /** The account a mailbox incarnation is or was in; undefined when there never was such a mailbox. */
  accountOfMailbox(id: MailboxId): string | undefined {
    const sql = 'SELECT a.name FROM mailbox b JOIN account a ON a.id = b.account_id WHERE b.id = ?';
    return this.#get(sql, [id])?.name as string | undefined;
  }

  /** The frame that holds a record's beginning. */
  frameOf(lsn: Lsn): FrameRow | undefined {
    const row = this.#get(
      'SELECT first_lsn, segment, offset, length FROM frame WHERE first_lsn <= ? ORDER BY first_lsn DESC LIMIT 1',
      [lsn],
    );
    return (
      row && {
        firstLsn: row.first_lsn as Lsn,
        segment: row.segment as string,
        offset: row.offset as number,
        length: row.length as number,
      }
    );
  }

  /** What lives now, for status and metrics; cheap. */
  totals(): {
    readonly accounts: number;
    readonly mailboxes: number;
    readonly messages: number;
    readonly bytes: number;
  } {
    const row = this.#get(
      `SELECT (SELECT count(*) FROM account_life WHERE to_lsn IS NULL) AS accounts,
         (SELECT count(*) FROM mailbox WHERE to_lsn IS NULL) AS mailboxes,
         coalesce(sum(b.alive), 0) AS messages, coalesce(sum(b.bytes), 0) AS bytes
       FROM message_block b JOIN mailbox m ON m.id = b.mailbox_id WHERE m.to_lsn IS NULL`,
      [],
    ) as Record<'accounts' | 'mailboxes' | 'messages' | 'bytes', number>;
    return { ...row };
  }

  /** Moves what is in the write-ahead log into the main file, so that the file is whole by itself. */
  checkpointFile(): void {
    try {
      this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /**
   * For a catalog that SQLite could not read somewhere: the next opening for writing builds it anew, also where that opening would not
   * come upon the same place. What it says of its journal can still be read (`peek`).
   */
  condemn(): void {
    if (!this.#db.isOpen) return;
    try {
      this.#db.exec('PRAGMA user_version = 0');
    } catch (error) {
      throw this.#failure(error);
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** `at` brought to the commit at or before it, so that no half of a step is ever seen. 0 before the first. */
  #commitAt(at: Lsn | undefined): Lsn {
    const commit = at === undefined ? this.lastCommit() : this.commitAtOrBefore(at);
    return commit?.lsn ?? (0 as Lsn);
  }

  /** Asked for every page: what is now may be the past at the next one. A reader cannot know without a race. */
  #isNow(at: Lsn): boolean {
    return !this.#readOnly && at >= this.#appliedLsn;
  }

  #livesAt(id: MailboxId, at: Lsn): boolean {
    const sql =
      'SELECT 1 FROM mailbox WHERE id = :id AND from_lsn <= :at AND (to_lsn IS NULL OR to_lsn > :at)';
    return this.#get(sql, { id, at }) !== undefined;
  }

  #commit(sql: string, ...values: Lsn[]): Commit | undefined {
    const row = this.#get(sql, values);
    return row && { lsn: row.lsn as Lsn, time: row.time as number };
  }

  #number(sql: string): number {
    return this.#get(sql, [])?.value as number;
  }

  #get(sql: string, values: SQLInputValue[] | Row): Row | undefined {
    try {
      const statement = this.#statement(sql);
      return (Array.isArray(values) ? statement.get(...values) : statement.get(values)) as Row | undefined;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #all(sql: string, values: SQLInputValue[] | Row): Row[] {
    try {
      const statement = this.#statement(sql);
      return (Array.isArray(values) ? statement.all(...values) : statement.all(values)) as Row[];
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): unknown {
    const failure = sqliteFailure(error, this.#file);
    if (hasCode(failure, 'CATALOG_DAMAGED')) this.onDamage(failure);
    return failure;
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      statement.setAllowUnknownNamedParameters(true);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** Undefined where there is no file, or it cannot be looked at. */
function inodeOf(file: string): bigint | undefined {
  try {
    return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
  } catch {
    // Whoever opens it is told why.
    return undefined;
  }
}

/** Which journal a catalog indexes, and how far. */
export interface CatalogMeta {
  readonly journalId: string;
  readonly appliedLsn: Lsn;
}

function readMeta(db: DatabaseSync): CatalogMeta {
  const rows = db.prepare('SELECT key, value FROM meta').all();
  const meta = new Map(rows.map((row) => [row.key, row.value]));
  return {
    journalId: String(meta.get('journal_id')),
    appliedLsn: Number(meta.get('applied_lsn')) as Lsn,
  };
}

export interface Commit {
  readonly lsn: Lsn;
  /** Wall time in ms. */
  readonly time: number;
}

/** One incarnation of a mailbox from its beginning to its end. */
export interface MailboxLife {
  readonly id: MailboxId;
  readonly account: string;
  readonly name: string;
  readonly uidValidity: number;
  readonly firstLsn: Lsn;
  readonly goneLsn?: Lsn;
}

export function isInbox(name: string): boolean {
  return name.toUpperCase() === 'INBOX';
}

/** SQLite's error as ours; any other unchanged. Result codes: https://sqlite.org/rescode.html */
function sqliteFailure(error: unknown, file: string): unknown {
  const { code, errcode = 0 } = error as { code?: string; errcode?: number };
  if (code !== 'ERR_SQLITE_ERROR') return error;
  const storage = [SQLITE_BUSY, SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN].includes(
    errcode % 256,
  );
  return catalogErrors.make(
    storage ? 'CATALOG_STORAGE_FAILED' : 'CATALOG_DAMAGED',
    `catalog ${file}: ${messageOf(error)}`,
    { cause: error },
  );
}

const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;

const LSN_MAX = 2 ** 53 - 1;
const busyTimeoutMs = 10_000;
const flagSetsKept = 10_000;
/** Negative = KiB. */
const cachePages = -16 * 1024;

/**
 * NORMAL: after a loss of power the newest transactions may be missing, never half there; the vault folds them
 * in again from the journal, which is the truth and was synced first.
 */
function setPragmas(db: DatabaseSync): void {
  db.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = ${cachePages};
     PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864`,
  );
}

const lastCommitLsn = '(SELECT max(lsn) FROM commits)';

/** What a statement tells of now is right for `at` too where, as of the same statement, nothing was committed after it. */
function isPast(at: Lsn | undefined, { now }: Row): at is Lsn {
  return at !== undefined && at < ((now ?? 0) as number);
}

const accountSelect = `SELECT a.id, a.name,
    (SELECT min(from_lsn) FROM account_life WHERE account_id = a.id) AS first,
    (SELECT max(coalesce(to_lsn, ${LSN_MAX})) FROM account_life WHERE account_id = a.id) AS gone
  FROM account a`;

function accountLife(row: Row): Pick<AccountRow, 'account' | 'firstLsn' | 'goneLsn'> {
  return {
    account: row.name as string,
    firstLsn: row.first as Lsn,
    ...(row.gone === LSN_MAX ? {} : { goneLsn: row.gone as Lsn }),
  };
}

const mailboxSelect = `SELECT b.id, a.name AS account, b.uid_validity, t.name, t.delimiter, t.guid, t.special_use, t.subscribed,
    p.uid_next, p.highest_mod_seq, p.complete
  FROM mailbox b JOIN account a ON a.id = b.account_id
    JOIN mailbox_attributes t ON t.mailbox_id = b.id AND t.from_lsn <= :at AND (t.to_lsn IS NULL OR t.to_lsn > :at)
    LEFT JOIN position p ON p.mailbox_id = b.id`;

function mailboxRow(row: Row): MailboxRow {
  return {
    id: row.id as MailboxId,
    account: row.account as string,
    name: row.name as string,
    delimiter: row.delimiter as string | null,
    uidValidity: row.uid_validity as number,
    ...(row.guid === null ? {} : { guid: row.guid as string }),
    specialUse: (row.special_use as string).split(' ').filter(Boolean),
    subscribed: row.subscribed === 1,
    uidNext: (row.uid_next ?? 1) as number,
    ...(row.highest_mod_seq === null ? {} : { highestModSeq: row.highest_mod_seq as string }),
    complete: row.complete === 1,
  };
}

const messageColumns = `m.mailbox_id, m.uid, m.body_lsn, b.hash, m.size, m.flags_id, m.date, g.guid,
  b.subject, b.sender, b.message_id`;
const messageJoins = 'JOIN body b ON b.lsn = m.body_lsn LEFT JOIN guid g ON g.id = m.guid_id';

const pageNow = `SELECT ${messageColumns} FROM message m ${messageJoins}
  WHERE m.mailbox_id = :id AND m.uid > :after AND m.uid <= :last AND m.to_lsn IS NULL ORDER BY m.uid LIMIT :limit`;

/** Flags at a past time: those that ended first after it, else those the message has or ended with. */
const pagePast = `SELECT ${messageColumns},
    (SELECT p.flags_id FROM flags_past p WHERE p.mailbox_id = m.mailbox_id AND p.uid = m.uid AND p.to_lsn > :at
       AND (m.to_lsn IS NULL OR p.to_lsn < m.to_lsn) ORDER BY p.to_lsn LIMIT 1) AS past_flags_id
  FROM message m ${messageJoins}
  WHERE m.mailbox_id = :id AND m.uid > :after AND m.uid <= :last AND m.from_lsn <= :at
    AND (m.to_lsn IS NULL OR m.to_lsn > :at) ORDER BY m.uid LIMIT :limit`;
