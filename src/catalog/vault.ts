/**
 * The one writer of a vault: journal and catalog kept in step.
 *
 * States
 *   open      after `open`, and after a `reopen` that worked. Leaves by a storage error (to stopped) or `close` (to closed).
 *   stopped   a journal write or a catalog write failed, or the catalog is damaged or was removed. Commits that were durable before are in the journal; all others were
 *             rejected with that error, and what waited for them is dropped. Every call but `reopen` and `close` rejects with it.
 *   closed    after `close`.
 *
 * A step goes: records appended (pending) -> commit durable in the journal -> applied to the catalog -> its promise resolves.
 * All steps that become durable together are applied in one SQLite transaction.
 */
import { hash as digest } from 'node:crypto';
import { existsSync, unwatchFile, watchFile } from 'node:fs';
import {
  type BodyRecord,
  bodyPieces,
  type Committed,
  type FoundJournal,
  type FrameLocation,
  JournalReader,
  JournalWriter,
  type Lsn,
  localStorage,
  type MailboxId,
  type Recovery,
  type SegmentStorage,
  type StepRecord,
} from '../journal/index.ts';
import { type Clock, crashPoint, hasCode, invariant, type Log, type ProgressListener } from '../lib/index.ts';
import { Catalog, type CatalogMeta } from './catalog.ts';
import { assertFits, openCatalogForWriting } from './catch-up.ts';
import { catalogErrors } from './errors.ts';
import type { CatalogEntry } from './fold.ts';
import { indexBody } from './index-body.ts';
import { hashKey } from './packing.ts';
import { SeenBodies } from './seen-bodies.ts';
import { Turns } from './turns.ts';
import { vaultFiles } from './vault-files.ts';
import { VaultLock } from './vault-lock.ts';

export interface VaultOptions {
  /** The vault's folder: `<dataDir>/<server>`; made if it is not there. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** 32 bytes; encrypts a new journal, opens an encrypted one. */
  readonly key?: Uint8Array;
  /** Told about a rebuild or a long catching up of the catalog. */
  readonly onProgress?: ProgressListener;
  /** True: where there is no journal yet nothing is made, and CATALOG_VAULT_MISSING is thrown. */
  readonly mustExist?: boolean;
  /** Instead of the folder `journal`. */
  readonly storage?: SegmentStorage;
  /** See `JournalWriterOptions`. */
  readonly frameBytes?: number;
  readonly segmentBytes?: number;
  readonly compressionLevel?: number;
}

/** How often it is looked whether the catalog's file is still the one that is open: one `stat`, off this thread. */
const CATALOG_LOOK_MS = 1_000;

/** What a message's bytes are known by. */
export interface BodyIdentity {
  /** SHA-256. */
  readonly hash: Uint8Array;
  readonly size: number;
}

/** A body's place in the vault. `known`: the vault had it already, nothing was appended. */
export type PlacedBody = BodyIdentity & { readonly known: boolean };

/** From here on a body is appended little by little: its bytes are in memory once, and not a second time as frames that wait for the disk. */
const LARGE_BYTES = 8 << 20;
/** Of it so much waits for the disk at most. */
const LARGE_BUFFERED_BYTES = 4 << 20;

/** An entry that is in the journal's buffer and not yet in the catalog, with what is remembered for its sake. */
interface PendingEntry {
  readonly lsn: Lsn;
  /** Absent for a commit: its time is known when it is durable. */
  readonly record?: CatalogEntry['record'];
  readonly guidKey?: string;
}

interface DurableCommit extends Committed {
  resolve(committed: Committed): void;
  reject(error: unknown): void;
}

export class Vault {
  readonly dir: string;
  readonly #options: VaultOptions;
  readonly #storage: SegmentStorage;
  readonly #lock: VaultLock;
  #writer!: JournalWriter;
  #reader!: JournalReader;
  #catalog!: Catalog;
  /** Of a journal that was empty when it was opened: every body it has came through here. */
  #seen: SeenBodies | undefined;

  /** Who appends: nothing comes between the pieces of a body. */
  readonly #turns = new Turns();
  #pending: PendingEntry[] = [];
  readonly #pendingBodies = new Map<string, BodyIdentity>();
  readonly #pendingGuids = new Map<string, BodyIdentity>();
  readonly #pendingMailboxes = new Map<MailboxId, string>();
  #frames: FrameLocation[] = [];
  #durable: DurableCommit[] = [];
  #applyScheduled = false;
  #nextMailboxId = 1;
  #failure: unknown;
  #stopped = Promise.withResolvers<unknown>();
  #closed = false;
  #reopening: Promise<void> | undefined;
  /** Of a catalog that was removed readers see nothing, and commits would go where nobody finds them. */
  readonly #onCatalogFile = () => {
    if (!this.#catalog.isReplaced) return;
    this.#stop(
      catalogErrors.make('CATALOG_REPLACED', `the catalog of vault ${this.dir} was removed or replaced`),
    );
  };

  /**
   * Takes the vault's lock, recovers the journal and brings the catalog up to it (rebuilds it where it is missing, damaged or
   * of another version, and says so in the log).
   * @throws CATALOG_VAULT_MISSING (with `mustExist`), CATALOG_VAULT_LOCKED, CATALOG_VAULT_UNWRITABLE, CATALOG_OTHER_JOURNAL, CATALOG_AHEAD_OF_JOURNAL,
   * CATALOG_RECORD_INVALID, CATALOG_STORAGE_FAILED, JOURNAL_*; nothing stays locked then. A journal that does not fit its catalog is as it was.
   */
  static async open(options: VaultOptions): Promise<Vault> {
    if (options.mustExist && !existsSync(vaultFiles(options.dir).journal)) {
      throw catalogErrors.make('CATALOG_VAULT_MISSING', `there is no journal in ${options.dir}`);
    }
    const lock = VaultLock.take(options.dir, options.clock.wallMs());
    const vault = new Vault(options, lock);
    try {
      await vault.#openParts();
      return vault;
    } catch (error) {
      await vault.#closeParts();
      lock.release();
      throw error;
    }
  }

  private constructor(options: VaultOptions, lock: VaultLock) {
    this.dir = options.dir;
    this.#options = options;
    this.#lock = lock;
    this.#storage = options.storage ?? localStorage(vaultFiles(options.dir).journal);
  }

  async #openParts(): Promise<void> {
    const { clock, log, key, frameBytes, segmentBytes, compressionLevel } = this.#options;
    const keyOption = key ? { key } : {};
    const known = Catalog.peek(vaultFiles(this.dir).catalog);
    this.#writer = await JournalWriter.open({
      storage: this.#storage,
      clock,
      log,
      accept: (found) => refuseUnfit(known, found, this.dir, this.#storage.location),
      ...keyOption,
      ...(frameBytes === undefined ? {} : { frameBytes }),
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
      ...(compressionLevel === undefined ? {} : { compressionLevel }),
    });
    this.#writer.onFrame = (frame) => {
      if (frame.lastLsn >= frame.firstLsn) this.#frames.push(frame);
    };
    this.#reader = await JournalReader.open({ storage: this.#storage, ...keyOption });
    this.#catalog = await openCatalogForWriting({
      dir: this.dir,
      reader: this.#reader,
      clock,
      log,
      ...(this.#options.onProgress ? { onProgress: this.#options.onProgress } : {}),
    });
    this.#catalog.onDamage = (error) => this.#stop(error);
    watchFile(
      vaultFiles(this.dir).catalog,
      { persistent: false, interval: CATALOG_LOOK_MS },
      this.#onCatalogFile,
    );
    this.#seen = this.#writer.lastLsn === 0 ? new SeenBodies() : undefined;
    this.#nextMailboxId = Math.max(this.#nextMailboxId, this.#catalog.lastMailboxId() + 1);
  }

  get catalog(): Catalog {
    return this.#catalog;
  }

  get journalId(): string {
    return this.#writer.journalId;
  }

  /** What opening the journal found and cut. */
  get recovery(): Recovery {
    return this.#writer.recovery;
  }

  /** LSN of the last commit that is durable. */
  get committedLsn(): Lsn {
    return this.#writer.committedLsn;
  }

  /** The error that stopped the vault; undefined while it works. `reopen` ends it. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Resolves with the error that stops the vault; of a vault that works again it is another promise. */
  get whenStopped(): Promise<unknown> {
    return this.#stopped.promise;
  }

  /** Entries appended and not yet in the catalog: a queue depth for metrics. */
  get pendingEntries(): number {
    return this.#pending.length;
  }

  /**
   * Takes a message's bytes, at once; for a large body use `takeBody`. They become part of the journal with the next commit, whoever
   * makes it; without one they are dropped. The bytes are copied.
   * @throws the error that stopped the vault
   */
  putBody(data: Uint8Array): PlacedBody {
    invariant(!this.#turns.taken, 'a body that is appended little by little has nothing else beside it');
    this.#turns.enter();
    try {
      return this.#put(data);
    } finally {
      this.#turns.leave();
    }
  }

  /**
   * As `putBody`, but a large body is appended as the disk takes it, and what is asked for meanwhile waits its turn. With a promise
   * `data` must stay as it is until that settles. @throws, rejects with the error that stopped the vault
   */
  takeBody(data: Uint8Array): PlacedBody | Promise<PlacedBody> {
    const turn = this.#turns.enter();
    if (turn || data.length >= LARGE_BYTES) return this.#takeInTurn(turn, data);
    try {
      return this.#put(data);
    } finally {
      this.#turns.leave();
    }
  }

  async #takeInTurn(turn: Promise<void> | undefined, data: Uint8Array): Promise<PlacedBody> {
    await turn;
    try {
      if (data.length < LARGE_BYTES) return this.#put(data);
      return await this.#putGradually(data);
    } finally {
      this.#turns.leave();
    }
  }

  #put(data: Uint8Array): PlacedBody {
    this.#assertOpen();
    const hash = digest('sha256', data, 'buffer');
    const identity = { hash, size: data.length };
    if (this.hasBody(hash)) return { ...identity, known: true };
    this.#seen?.add(hash);
    try {
      for (const piece of bodyPieces(hash, data)) this.#appendPiece(this.#writer, piece);
    } catch (error) {
      this.#stop(error);
      throw error;
    }
    this.#pendingBodies.set(hashKey(hash), identity);
    return { ...identity, known: false };
  }

  async #putGradually(data: Uint8Array): Promise<PlacedBody> {
    this.#assertOpen();
    const hash = digest('sha256', data, 'buffer');
    const identity = { hash, size: data.length };
    if (this.hasBody(hash)) return { ...identity, known: true };
    this.#seen?.add(hash);
    // A vault that was stopped and reopened meanwhile has another writer, which knows nothing of this body; this one is closed then.
    const writer = this.#writer;
    try {
      for (const piece of bodyPieces(hash, data)) {
        await writer.ready(LARGE_BUFFERED_BYTES);
        this.#assertOpen();
        this.#appendPiece(writer, piece);
      }
    } catch (error) {
      if (writer === this.#writer && !this.#closed) this.#stop(error);
      throw error;
    }
    this.#pendingBodies.set(hashKey(hash), identity);
    return { ...identity, known: false };
  }

  #appendPiece(writer: JournalWriter, piece: BodyRecord): void {
    const lsn = writer.append(piece);
    const record = indexBody(piece);
    if (record) this.#pending.push({ lsn, record });
  }

  /** Whether the vault holds a body, those not yet committed included. */
  hasBody(hash: Uint8Array): boolean {
    if (this.#seen?.mayHave(hash) === false) return false;
    return this.#pendingBodies.has(hashKey(hash)) || this.#catalog.bodyLsn(hash) !== undefined;
  }

  /** The body that the server's message id stands for in this account, if it has this size; steps under way included. */
  bodyByGuid(account: string, guid: string, size: number): BodyIdentity | undefined {
    const pending = this.#pendingGuids.get(guidKeyOf(account, guid, size));
    if (pending) return pending;
    const found = this.#catalog.bodyByGuid(account, guid, size);
    return found && { hash: found.hash, size: found.size };
  }

  /** A number for a new mailbox incarnation: never given before in this journal. */
  nextMailboxId(): MailboxId {
    const id = this.#nextMailboxId as MailboxId;
    this.#nextMailboxId += 1;
    return id;
  }

  /** Resolves when there is room for more bodies. Await it between bodies: that bounds memory. @throws as `commit` */
  async ready(): Promise<void> {
    this.#assertOpen();
    await this.#writer.ready();
  }

  /**
   * Makes a step part of the journal. Steps are in the order of the calls; the records are appended before it returns, unless it waits
   * for a large body to be appended. It resolves when they are durable and in the catalog.
   * @throws CATALOG_STEP_INVALID: the step names an unknown body or mailbox; nothing was appended.
   * @throws JOURNAL_STORAGE_FULL, JOURNAL_STORAGE_FAILED, CATALOG_STORAGE_FAILED: the vault has stopped, see `reopen`; after it, look
   * in the catalog which steps are there.
   */
  async commit(records: readonly StepRecord[]): Promise<Committed> {
    const turn = this.#turns.enter();
    if (turn) await turn;
    let durable: Promise<Committed>;
    try {
      durable = this.#appendStep(records);
    } finally {
      this.#turns.leave();
    }
    let committed: Committed;
    try {
      committed = await durable;
    } catch (error) {
      this.#stop(error);
      throw error;
    }
    return new Promise((resolve, reject) => {
      this.#durable.push({ ...committed, resolve, reject });
      this.#scheduleApply();
    });
  }

  #appendStep(records: readonly StepRecord[]): Promise<Committed> {
    this.#assertOpen();
    this.#check(records);
    try {
      for (const record of records) this.#append(record);
      const durable = this.#writer.commit();
      this.#pending.push({ lsn: this.#writer.lastLsn });
      return durable;
    } catch (error) {
      this.#stop(error);
      throw error;
    }
  }

  /** A step that the fold would refuse must not get into the journal. */
  #check(records: readonly StepRecord[]): void {
    invariant(records.length > 0, 'a step has records');
    const begun = new Set<MailboxId>();
    for (const record of records) {
      if (record.t === 'mailbox') begun.add(record.id);
      else if ('id' in record && !begun.has(record.id) && this.#accountOf(record.id) === undefined) {
        throw catalogErrors.make(
          'CATALOG_STEP_INVALID',
          `a ${record.t} record names unknown mailbox ${record.id}`,
        );
      }
      if (record.t === 'message' && !this.hasBody(record.hash)) {
        throw catalogErrors.make(
          'CATALOG_STEP_INVALID',
          `message ${record.uid} of mailbox ${record.id} names a body that was not put`,
        );
      }
    }
  }

  #append(record: StepRecord): void {
    const lsn = this.#writer.append(record);
    let guidKey: string | undefined;
    if (record.t === 'mailbox') this.#pendingMailboxes.set(record.id, record.account);
    if (record.t === 'message' && record.guid !== undefined) {
      guidKey = guidKeyOf(this.#accountOf(record.id) as string, record.guid, record.size);
      this.#pendingGuids.set(guidKey, { hash: record.hash, size: record.size });
    }
    this.#pending.push({ lsn, record, ...(guidKey === undefined ? {} : { guidKey }) });
  }

  #accountOf(id: MailboxId): string | undefined {
    return this.#pendingMailboxes.get(id) ?? this.#catalog.accountOfMailbox(id);
  }

  /** Applied in a later turn of the event loop: by then all commits of one sync have resolved. */
  #scheduleApply(): void {
    if (this.#applyScheduled) return;
    this.#applyScheduled = true;
    setImmediate(() => {
      this.#applyScheduled = false;
      this.#applyDurable();
    });
  }

  #applyDurable(): void {
    const commits = this.#durable.splice(0);
    const last = commits.at(-1);
    if (!last) return;
    try {
      const count = this.#pending.findIndex(({ lsn }) => lsn > last.lsn);
      const applied = this.#pending.slice(0, count < 0 ? this.#pending.length : count);
      const times = new Map(commits.map(({ lsn, time }) => [lsn, time]));
      crashPoint('vault.apply.before');
      this.#catalog.apply(
        applied.map(({ lsn, record }) => {
          const time = times.get(lsn);
          invariant(record !== undefined || time !== undefined, 'a commit that is applied is durable');
          return { lsn, record: record ?? { t: 'commit', time: time as number } };
        }),
        this.#frames,
      );
      crashPoint('vault.apply.after');
      this.#frames = [];
      this.#pending.splice(0, applied.length);
      for (const entry of applied) this.#release(entry);
    } catch (error) {
      for (const commit of commits) commit.reject(error);
      this.#stop(error);
      return;
    }
    for (const { lsn, time, resolve } of commits) resolve({ lsn, time });
  }

  /** What was remembered for an entry is in the catalog now. */
  #release({ record, guidKey }: PendingEntry): void {
    if (record?.t === 'indexed-body') this.#pendingBodies.delete(hashKey(record.hash));
    else if (record?.t === 'mailbox') this.#pendingMailboxes.delete(record.id);
    if (guidKey !== undefined) this.#pendingGuids.delete(guidKey);
  }

  /** First error only; what was durable before it is applied and resolved, the rest is dropped. */
  #stop(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#applyDurable();
    this.#dropPending();
    this.#stopped.resolve(error);
    this.#options.log.error({ vault: this.dir, err: error }, 'vault stopped');
  }

  #dropPending(): void {
    this.#pending = [];
    this.#pendingBodies.clear();
    this.#pendingGuids.clear();
    this.#pendingMailboxes.clear();
    this.#frames = [];
  }

  /**
   * Makes a stopped vault work again, once the cause is gone: the journal is recovered, the catalog brought up to it. Nothing
   * happens when the vault works. May be repeated; concurrent calls share one attempt.
   * @throws as `open`; the vault stays stopped, and locked by this process
   */
  reopen(): Promise<void> {
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #reopen(): Promise<void> {
    if (this.#closed) throw stopped(this.dir);
    if (this.#failure === undefined) return;
    await this.#closeParts();
    this.#dropPending();
    await this.#openParts();
    this.#failure = undefined;
    this.#stopped = Promise.withResolvers();
    this.#options.log.info({ vault: this.dir, committedLsn: this.committedLsn }, 'vault works again');
  }

  /** The bytes of a committed body, by the LSN of its first piece or by its hash. @throws CATALOG_BODY_UNKNOWN, JOURNAL_DAMAGED */
  async body(which: Lsn | Uint8Array): Promise<Buffer> {
    if (this.#closed) throw stopped(this.dir);
    const lsn = typeof which === 'number' ? which : this.#catalog.bodyLsn(which);
    if (lsn === undefined)
      throw catalogErrors.make('CATALOG_BODY_UNKNOWN', 'no committed body has this hash');
    return this.#reader.body(lsn, this.#catalog.frameOf(lsn));
  }

  /** Waits for the commits under way and gives everything back. May be repeated. Bodies without a commit are dropped. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#reopening?.catch(() => {
      // Said to the caller of `reopen`.
    });
    await this.#writer.close();
    // Promises of the last commits run before this, so all that is durable is here.
    this.#applyDurable();
    await this.#closeParts();
    this.#lock.release();
  }

  async #closeParts(): Promise<void> {
    await this.#writer?.close();
    await this.#reader?.close();
    this.#closeCatalog();
  }

  #closeCatalog(): void {
    unwatchFile(vaultFiles(this.dir).catalog, this.#onCatalogFile);
    if (hasCode(this.#failure, 'CATALOG_DAMAGED')) {
      try {
        this.#catalog?.condemn();
      } catch (error) {
        // Then it is so damaged that the next opening cannot overlook it.
        this.#options.log.warn(
          { vault: this.dir, err: error },
          'damaged catalog could not be marked as such',
        );
      }
    }
    this.#catalog?.close();
  }

  #assertOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw stopped(this.dir);
  }
}

function stopped(dir: string): Error {
  return catalogErrors.make('CATALOG_VAULT_STOPPED', `vault ${dir} was closed`);
}

function guidKeyOf(account: string, guid: string, size: number): string {
  return `${size} ${account.length} ${account}${guid}`;
}

/** Before recovery cuts a journal's end or makes a segment: what is left of one that was cut is all there is to repair it from. */
function refuseUnfit(
  known: CatalogMeta | undefined,
  found: FoundJournal | undefined,
  dir: string,
  location: string,
): void {
  // Of a vault that never held a commit nothing can be lost.
  if (!known || known.appliedLsn === 0) return;
  if (found) assertFits(known, found, dir);
  else {
    // Making a new journal would hide that the old one is gone.
    throw catalogErrors.make(
      'CATALOG_AHEAD_OF_JOURNAL',
      `vault ${dir} has a catalog but its journal ${location} has no segments`,
    );
  }
}
