/**
 * The fold: journal entries in, catalog rows out. The same code runs in a live vault, when a vault catches up,
 * and in a rebuild, so a catalog is the same however it came to be.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type {
  CheckpointRecord,
  CommitRecord,
  ControlRecord,
  FlagsRecord,
  Lsn,
  MailboxChangeRecord,
  MailboxId,
  MailboxRecord,
  MessageRecord,
  PositionRecord,
  SetAsideRecord,
  StepRecord,
  SubscriptionsRecord,
  VanishedRecord,
} from '../journal/index.ts';
import { invariant } from '../lib/index.ts';
import { catalogErrors } from './errors.ts';
import type { IndexedBody } from './index-body.ts';
import { packDate } from './internal-date.ts';
import { hashKey, packFlags, packGuid } from './packing.ts';
import { BLOCK_UIDS } from './schema.ts';
import { parseUidSet } from './uid-set.ts';

/** A journal entry as the fold takes it: bodies reduced by `indexBody`. */
export interface CatalogEntry {
  readonly lsn: Lsn;
  readonly record: StepRecord | CommitRecord | ControlRecord | IndexedBody;
}

/** Where a frame lies, so that a reader finds a body without looking through the segment. */
export interface FrameRow {
  readonly firstLsn: Lsn;
  readonly segment: string;
  readonly offset: number;
  readonly length: number;
}

/** What the fold remembers of a mailbox, so that most records need no look-up. */
interface MailboxState {
  readonly accountId: number;
  alive: boolean;
  /** Highest UID seen: a higher one cannot replace a message. */
  uidMax: number;
  /** May have messages set aside. */
  setAside: boolean;
}

/** Changes to a row of `message_block`, gathered over a batch. */
interface BlockChange {
  readonly mailboxId: number;
  readonly block: number;
  firstFrom: number;
  lastTo: number;
  alive: number;
  bytes: number;
}

const LSN_NONE = 2 ** 53 - 1;
const flagSetsKept = 10_000;
const mailboxesKept = 50_000;
const recentBodiesKept = 5_000;

export class Fold {
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  readonly #mailboxes = new Map<MailboxId, MailboxState>();
  readonly #flagSets = new Map<string, number>();
  readonly #blocks = new Map<string, BlockChange>();
  #lastBlock: BlockChange | undefined;
  /** Bodies that came last, oldest first: their messages are about to come, in this batch or in one of the next. */
  readonly #recentBodies = new Map<string, Lsn>();

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#sql = prepare(db);
  }

  /**
   * Applies entries, in LSN order, and frames in one transaction with the new `applied_lsn`. Entries at or
   * below `appliedLsn` change nothing, so it may be repeated. Returns the new applied LSN.
   */
  apply(appliedLsn: Lsn, entries: Iterable<CatalogEntry>, frames: Iterable<FrameRow>): Lsn {
    let applied = appliedLsn;
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      for (const { lsn, record } of entries) {
        if (lsn <= applied) continue;
        this.#applyOne(lsn, record);
        applied = lsn;
      }
      for (const frame of frames) {
        this.#sql.frame.run(frame.firstLsn, frame.segment, frame.offset, frame.length);
      }
      this.#flushBlocks();
      this.#sql.applied.run(applied);
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#forget();
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
    this.#trimRecentBodies();
    if (this.#mailboxes.size > mailboxesKept) this.#mailboxes.clear();
    return applied;
  }

  /** What is remembered may be of a transaction that was undone. */
  #forget(): void {
    this.#mailboxes.clear();
    this.#flagSets.clear();
    this.#blocks.clear();
    this.#lastBlock = undefined;
    this.#recentBodies.clear();
  }

  #trimRecentBodies(): void {
    let surplus = this.#recentBodies.size - recentBodiesKept;
    for (const key of this.#recentBodies.keys()) {
      if (surplus <= 0) return;
      this.#recentBodies.delete(key);
      surplus -= 1;
    }
  }

  #applyOne(lsn: Lsn, record: CatalogEntry['record']): void {
    switch (record.t) {
      case 'indexed-body':
        this.#body(lsn, record);
        return;
      case 'message':
        this.#message(lsn, record);
        return;
      case 'flags':
        this.#flags(lsn, record);
        return;
      case 'vanished':
        this.#vanished(lsn, record);
        return;
      case 'position':
        this.#position(lsn, record);
        return;
      case 'account':
        this.#accountId(lsn, record.account);
        return;
      case 'account-gone':
        this.#accountGone(lsn, record.account);
        return;
      case 'mailbox':
        this.#mailbox(lsn, record);
        return;
      case 'mailbox-change':
        this.#mailboxChange(lsn, record);
        return;
      case 'mailbox-gone':
        this.#mailboxGone(lsn, record.id);
        return;
      case 'set-aside':
        this.#setAside(lsn, record);
        return;
      case 'subscriptions':
        this.#subscriptions(lsn, record);
        return;
      case 'checkpoint':
        this.#checkpoint(lsn, record);
        return;
      case 'control':
        throw invalid(lsn, `a control record of ${record.topic}: this journal is not that of a server`);
      case 'commit':
        this.#sql.commit.run(lsn, record.time);
        return;
    }
  }

  #body(lsn: Lsn, record: IndexedBody): void {
    const { hash, size, subject, from, messageId } = record;
    const { changes } = this.#sql.body.run(lsn, hash, size, subject, from, messageId);
    if (changes === 1) this.#recentBodies.set(hashKey(hash), lsn);
  }

  /** LSN of one of the bodies that came last; of others nothing is known here. */
  recentBodyLsn(hash: Uint8Array): Lsn | undefined {
    return this.#recentBodies.get(hashKey(hash));
  }

  /** A message mostly follows its body, so those that came last are looked at first. */
  #bodyLsn(hash: Uint8Array): Lsn | undefined {
    return this.#recentBodies.get(hashKey(hash)) ?? (this.#sql.bodyLsn.get(hash)?.lsn as Lsn | undefined);
  }

  #message(lsn: Lsn, record: MessageRecord): void {
    const mailbox = this.#livingMailbox(lsn, record.id);
    if (!mailbox) return;
    if (record.uid <= mailbox.uidMax) this.#endMessage(lsn, record.id, record.uid);
    else mailbox.uidMax = record.uid;
    const bodyLsn = this.#bodyLsn(record.hash);
    if (bodyLsn === undefined) {
      throw invalid(lsn, `message ${record.uid} of mailbox ${record.id} names a body that is not there`);
    }
    let guidId: number | null = null;
    if (record.guid !== undefined) {
      const guid = packGuid(record.guid);
      const inserted = this.#sql.guid.run(mailbox.accountId, guid, bodyLsn);
      guidId =
        inserted.changes === 1
          ? Number(inserted.lastInsertRowid)
          : (this.#sql.guidId.get(mailbox.accountId, guid, bodyLsn)?.id as number);
    }
    const date = packDate(record.date);
    const flags = this.#flagSet(record.flags);
    this.#sql.message.run(record.id, record.uid, lsn, bodyLsn, record.size, date, flags, guidId);
    const block = this.#block(record.id, record.uid);
    block.firstFrom = Math.min(block.firstFrom, lsn);
    block.alive += 1;
    block.bytes += record.size;
    if (mailbox.setAside) this.#sql.setAsideEnd.run(lsn, record.id, record.uid, record.uid);
  }

  #flags(lsn: Lsn, record: FlagsRecord): void {
    if (!this.#livingMailbox(lsn, record.id)) return;
    const row = this.#sql.messageNow.get(record.id, record.uid);
    const flags = this.#flagSet(record.flags);
    if (!row || row.to_lsn !== null || row.flags_id === flags) return;
    this.#sql.flagsPast.run(record.id, record.uid, lsn, row.flags_id as number);
    this.#sql.messageFlags.run(flags, record.id, record.uid, row.from_lsn as number);
  }

  #vanished(lsn: Lsn, record: VanishedRecord): void {
    const mailbox = this.#livingMailbox(lsn, record.id);
    if (!mailbox) return;
    const ranges = parseUidSet(record.uids);
    if (!ranges) throw invalid(lsn, `not a UID set: ${record.uids}`);
    let removed = 0;
    for (const [first, last] of ranges) {
      removed +=
        first === last
          ? this.#endMessage(lsn, record.id, first)
          : this.#endRange(lsn, record.id, first, last);
      if (mailbox.setAside) this.#sql.setAsideEnd.run(lsn, record.id, first, last);
    }
    if (removed > 0) this.#sql.removal.run(lsn, record.id, removed);
  }

  /** Ends the living message of a UID, if there is one; returns how many (0 or 1). */
  #endMessage(lsn: Lsn, id: MailboxId, uid: number): number {
    const row = this.#sql.messageNow.get(id, uid);
    if (!row || row.to_lsn !== null) return 0;
    this.#sql.messageEnd.run(lsn, id, uid, row.from_lsn as number);
    this.#countEnded(lsn, id, uid, row.size as number);
    return 1;
  }

  /** The same for a range of UIDs, which may be all 2^32: only blocks that hold something are looked at. */
  #endRange(lsn: Lsn, id: MailboxId, first: number, last: number): number {
    this.#flushBlocks();
    let removed = 0;
    const blocks = this.#sql.livingBlocks.all(
      id,
      Math.floor(first / BLOCK_UIDS),
      Math.floor(last / BLOCK_UIDS),
    );
    for (const { block } of blocks as { block: number }[]) {
      const low = Math.max(first, block * BLOCK_UIDS);
      const high = Math.min(last, block * BLOCK_UIDS + BLOCK_UIDS - 1);
      const ended = this.#sql.messageEndRange.all(lsn, id, low, high) as { uid: number; size: number }[];
      for (const { uid, size } of ended) this.#countEnded(lsn, id, uid, size);
      removed += ended.length;
    }
    return removed;
  }

  #countEnded(lsn: Lsn, id: MailboxId, uid: number, size: number): void {
    const block = this.#block(id, uid);
    block.lastTo = lsn;
    block.alive -= 1;
    block.bytes -= size;
  }

  #block(mailboxId: number, uid: number): BlockChange {
    const block = Math.floor(uid / BLOCK_UIDS);
    const last = this.#lastBlock;
    if (last?.mailboxId === mailboxId && last.block === block) return last;
    const key = `${mailboxId} ${block}`;
    let change = this.#blocks.get(key);
    if (!change) {
      change = { mailboxId, block, firstFrom: LSN_NONE, lastTo: 0, alive: 0, bytes: 0 };
      this.#blocks.set(key, change);
    }
    this.#lastBlock = change;
    return change;
  }

  #flushBlocks(): void {
    for (const { mailboxId, block, firstFrom, lastTo, alive, bytes } of this.#blocks.values()) {
      this.#sql.block.run(mailboxId, block, firstFrom, lastTo, alive, bytes);
    }
    this.#blocks.clear();
    this.#lastBlock = undefined;
  }

  #position(lsn: Lsn, record: PositionRecord): void {
    if (!this.#livingMailbox(lsn, record.id)) return;
    const complete = record.complete === false ? 0 : 1;
    this.#sql.position.run(record.id, record.uidNext, record.highestModSeq ?? null, complete);
  }

  /** The account's number; the account begins (again) when it is not alive. */
  #accountId(lsn: Lsn, name: string): number {
    this.#sql.account.run(name);
    const id = this.#sql.accountId.get(name)?.id as number;
    if (!this.#sql.accountLife.get(id)) this.#sql.accountBegin.run(id, lsn);
    return id;
  }

  #accountGone(lsn: Lsn, name: string): void {
    const id = this.#sql.accountId.get(name)?.id as number | undefined;
    if (id === undefined) return;
    for (const row of this.#sql.livingMailboxes.all(id)) this.#mailboxGone(lsn, row.id as MailboxId);
    this.#sql.subscriptionsEnd.run(lsn, id);
    this.#sql.accountEnd.run(lsn, id);
  }

  #mailbox(lsn: Lsn, record: MailboxRecord): void {
    const accountId = this.#accountId(lsn, record.account);
    if (this.#sql.mailboxState.get(record.id))
      throw invalid(lsn, `mailbox ${record.id} begins a second time`);
    this.#sql.mailbox.run(record.id, accountId, record.uidValidity, lsn);
    this.#attributes(lsn, record.id, record);
    this.#mailboxes.set(record.id, { accountId, alive: true, uidMax: 0, setAside: false });
  }

  #attributes(
    lsn: Lsn,
    id: MailboxId,
    now: Omit<MailboxRecord, 't' | 'id' | 'account' | 'uidValidity'>,
  ): void {
    const { name, delimiter, guid, specialUse, subscribed } = now;
    this.#sql.attributes.run(
      id,
      lsn,
      name,
      delimiter,
      guid ?? null,
      specialUse.join(' '),
      subscribed ? 1 : 0,
    );
  }

  #mailboxChange(lsn: Lsn, record: MailboxChangeRecord): void {
    if (!this.#livingMailbox(lsn, record.id)) return;
    const row = this.#sql.attributesNow.get(record.id) as Record<string, string | number | null>;
    const guid = record.guid ?? (row.guid as string | null);
    this.#sql.attributesEnd.run(lsn, record.id);
    this.#attributes(lsn, record.id, {
      name: record.name ?? (row.name as string),
      delimiter: record.delimiter === undefined ? (row.delimiter as string | null) : record.delimiter,
      ...(guid === null ? {} : { guid }),
      specialUse: record.specialUse ?? (row.special_use as string).split(' ').filter(Boolean),
      subscribed: record.subscribed ?? row.subscribed === 1,
    });
  }

  /** Its messages are not ended one by one: a message is there while its mailbox is. */
  #mailboxGone(lsn: Lsn, id: MailboxId): void {
    const mailbox = this.#livingMailbox(lsn, id);
    if (!mailbox) return;
    mailbox.alive = false;
    this.#flushBlocks();
    const messages = this.#sql.aliveCount.get(id)?.alive as number;
    if (messages > 0) this.#sql.removal.run(lsn, id, messages);
    this.#sql.setAsideEnd.run(lsn, id, 0, LSN_NONE);
    this.#sql.attributesEnd.run(lsn, id);
    this.#sql.mailboxEnd.run(lsn, id);
  }

  #setAside(lsn: Lsn, record: SetAsideRecord): void {
    const mailbox = this.#livingMailbox(lsn, record.id);
    if (!mailbox) return;
    mailbox.setAside = true;
    this.#sql.setAsideEnd.run(lsn, record.id, record.uid, record.uid);
    this.#sql.setAside.run(record.id, record.uid, lsn, record.code, record.detail);
  }

  #subscriptions(lsn: Lsn, record: SubscriptionsRecord): void {
    const id = this.#accountId(lsn, record.account);
    this.#sql.subscriptionsEnd.run(lsn, id);
    this.#sql.subscriptions.run(id, lsn, JSON.stringify(record.names));
  }

  #checkpoint(lsn: Lsn, record: CheckpointRecord): void {
    this.#sql.checkpoint.run(lsn, record.cause, record.label ?? null, record.account ?? null);
  }

  #mailboxState(lsn: Lsn, id: MailboxId): MailboxState {
    const known = this.#mailboxes.get(id);
    if (known) return known;
    const row = this.#sql.mailboxState.get(id) as Record<string, number | null> | undefined;
    if (!row) throw invalid(lsn, `mailbox ${id} never began`);
    invariant(row.account_id, 'a mailbox has an account');
    const state = {
      accountId: row.account_id,
      alive: row.to_lsn === null,
      uidMax: row.uid_max ?? 0,
      setAside: row.set_aside === 1,
    };
    this.#mailboxes.set(id, state);
    return state;
  }

  /** Undefined when the mailbox is gone: what is still said of it then changes nothing. */
  #livingMailbox(lsn: Lsn, id: MailboxId): MailboxState | undefined {
    const state = this.#mailboxState(lsn, id);
    return state.alive ? state : undefined;
  }

  #flagSet(flags: readonly string[]): number {
    const text = packFlags(flags);
    const known = this.#flagSets.get(text);
    if (known !== undefined) return known;
    this.#sql.flagSet.run(text);
    const id = this.#sql.flagSetId.get(text)?.id as number;
    if (this.#flagSets.size >= flagSetsKept) this.#flagSets.clear();
    this.#flagSets.set(text, id);
    return id;
  }
}

function invalid(lsn: Lsn, what: string): Error {
  return catalogErrors.make('CATALOG_RECORD_INVALID', `record lsn:${lsn}: ${what}`, { details: { lsn } });
}

type Statements = { readonly [K in keyof typeof texts]: StatementSync };

function prepare(db: DatabaseSync): Statements {
  const made = Object.entries(texts).map(([name, text]) => [name, db.prepare(text)]);
  return Object.fromEntries(made) as Statements;
}

const texts = {
  applied: `UPDATE meta SET value = ? WHERE key = 'applied_lsn'`,
  frame: `INSERT OR REPLACE INTO frame (first_lsn, segment, offset, length) VALUES (?, ?, ?, ?)`,
  commit: `INSERT INTO commits (lsn, time) VALUES (?, ?)`,
  checkpoint: `INSERT INTO checkpoint (lsn, cause, label, account) VALUES (?, ?, ?, ?)`,

  account: `INSERT OR IGNORE INTO account (name) VALUES (?)`,
  accountId: `SELECT id FROM account WHERE name = ?`,
  accountLife: `SELECT from_lsn FROM account_life WHERE account_id = ? AND to_lsn IS NULL`,
  accountBegin: `INSERT INTO account_life (account_id, from_lsn) VALUES (?, ?)`,
  accountEnd: `UPDATE account_life SET to_lsn = ? WHERE account_id = ? AND to_lsn IS NULL`,
  subscriptions: `INSERT INTO subscription (account_id, from_lsn, names) VALUES (?, ?, ?)`,
  subscriptionsEnd: `UPDATE subscription SET to_lsn = ? WHERE account_id = ? AND to_lsn IS NULL`,

  mailbox: `INSERT INTO mailbox (id, account_id, uid_validity, from_lsn) VALUES (?, ?, ?, ?)`,
  mailboxEnd: `UPDATE mailbox SET to_lsn = ? WHERE id = ? AND to_lsn IS NULL`,
  mailboxState: `SELECT account_id, to_lsn, (SELECT max(uid) FROM message WHERE mailbox_id = mailbox.id) AS uid_max,
    EXISTS (SELECT 1 FROM set_aside WHERE mailbox_id = mailbox.id AND to_lsn IS NULL) AS set_aside
    FROM mailbox WHERE id = ?`,
  livingMailboxes: `SELECT id FROM mailbox WHERE account_id = ? AND to_lsn IS NULL ORDER BY id`,
  attributes: `INSERT INTO mailbox_attributes (mailbox_id, from_lsn, name, delimiter, guid, special_use, subscribed)
    VALUES (?, ?, ?, ?, ?, ?, ?)`,
  attributesNow: `SELECT * FROM mailbox_attributes WHERE mailbox_id = ? AND to_lsn IS NULL`,
  attributesEnd: `UPDATE mailbox_attributes SET to_lsn = ? WHERE mailbox_id = ? AND to_lsn IS NULL`,
  position: `INSERT OR REPLACE INTO position (mailbox_id, uid_next, highest_mod_seq, complete) VALUES (?, ?, ?, ?)`,

  body: `INSERT OR IGNORE INTO body (lsn, hash, size, subject, sender, message_id) VALUES (?, ?, ?, ?, ?, ?)`,
  bodyLsn: `SELECT lsn FROM body WHERE hash = ?`,
  guid: `INSERT OR IGNORE INTO guid (account_id, guid, body_lsn) VALUES (?, ?, ?)`,
  guidId: `SELECT id FROM guid WHERE account_id = ? AND guid = ? AND body_lsn = ?`,
  flagSet: `INSERT OR IGNORE INTO flag_set (flags) VALUES (?)`,
  flagSetId: `SELECT id FROM flag_set WHERE flags = ?`,

  message: `INSERT INTO message (mailbox_id, uid, from_lsn, body_lsn, size, date, flags_id, guid_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  messageNow: `SELECT from_lsn, to_lsn, flags_id, size FROM message
    WHERE mailbox_id = ? AND uid = ? ORDER BY from_lsn DESC LIMIT 1`,
  messageFlags: `UPDATE message SET flags_id = ? WHERE mailbox_id = ? AND uid = ? AND from_lsn = ?`,
  messageEnd: `UPDATE message SET to_lsn = ? WHERE mailbox_id = ? AND uid = ? AND from_lsn = ?`,
  messageEndRange: `UPDATE message SET to_lsn = ? WHERE mailbox_id = ? AND uid BETWEEN ? AND ? AND to_lsn IS NULL
    RETURNING uid, size`,
  flagsPast: `INSERT INTO flags_past (mailbox_id, uid, to_lsn, flags_id) VALUES (?, ?, ?, ?)`,
  block: `INSERT INTO message_block (mailbox_id, block, first_from, last_to, alive, bytes) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET first_from = min(first_from, excluded.first_from),
      last_to = max(last_to, excluded.last_to), alive = alive + excluded.alive, bytes = bytes + excluded.bytes`,
  livingBlocks: `SELECT block FROM message_block WHERE mailbox_id = ? AND block BETWEEN ? AND ? AND alive > 0`,
  aliveCount: `SELECT coalesce(sum(alive), 0) AS alive FROM message_block WHERE mailbox_id = ?`,
  removal: `INSERT INTO removal (lsn, mailbox_id, messages) VALUES (?, ?, ?)`,
  setAside: `INSERT INTO set_aside (mailbox_id, uid, from_lsn, code, detail) VALUES (?, ?, ?, ?, ?)`,
  setAsideEnd: `UPDATE set_aside SET to_lsn = ? WHERE mailbox_id = ? AND uid BETWEEN ? AND ? AND to_lsn IS NULL`,
} as const;
