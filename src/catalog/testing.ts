/** Building blocks for tests of the catalog and of what stands on it: entries by hand, without a journal. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import type {
  CommitRecord,
  Lsn,
  MailboxId,
  MailboxRecord,
  MessageRecord,
  StepRecord,
} from '../journal/index.ts';
import { Catalog } from './catalog.ts';
import type { CatalogEntry } from './fold.ts';
import { type IndexedBody, indexBody } from './index-body.ts';

/** A folder that goes away with the test. */
export function temporaryFolder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'understudy-catalog-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function temporaryCatalog(t: TestContext): Catalog {
  const catalog = Catalog.create(join(temporaryFolder(t), 'catalog.sqlite'), 'journal-1');
  t.after(() => catalog.close());
  return catalog;
}

export function sha256(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest();
}

export function bodyOf(text: string): IndexedBody {
  const data = Buffer.from(text);
  return indexBody({ t: 'body', hash: sha256(data), size: data.length, at: 0, data }) as IndexedBody;
}

export function mailboxRecord(id: number, account: string, name: string, more: Partial<MailboxRecord> = {}) {
  const record: MailboxRecord = {
    t: 'mailbox',
    id: id as MailboxId,
    account,
    name,
    delimiter: '/',
    uidValidity: 1000 + id,
    specialUse: [],
    subscribed: true,
    ...more,
  };
  return record;
}

export function messageRecord(id: number, uid: number, body: IndexedBody, more: Partial<MessageRecord> = {}) {
  const record: MessageRecord = {
    t: 'message',
    id: id as MailboxId,
    uid,
    hash: body.hash,
    size: body.size,
    flags: [],
    date: '17-Jul-2026 02:44:25 +0200',
    ...more,
  };
  return record;
}

/** Numbers entries as a journal would: each `step` gets its LSNs and a commit one second after the last. */
export class EntryList {
  readonly entries: CatalogEntry[] = [];
  #lsn = 0;
  #time = Date.parse('2026-01-01T00:00:00Z');

  step(...records: (StepRecord | IndexedBody)[]): Lsn {
    for (const record of records) this.#add(record);
    this.#time += 1000;
    const commit: CommitRecord = { t: 'commit', time: this.#time };
    return this.#add(commit);
  }

  /** Entries added since the last call. */
  take(): CatalogEntry[] {
    return this.entries.splice(0);
  }

  #add(record: CatalogEntry['record']): Lsn {
    this.#lsn += 1;
    this.entries.push({ lsn: this.#lsn as Lsn, record });
    return this.#lsn as Lsn;
  }
}

/** Every row of every table, to compare two catalogs. */
export function dumpTables(file: string): Record<string, unknown[]> {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`).all();
    return Object.fromEntries(
      tables.map(({ name }) => [name, db.prepare(`SELECT * FROM "${name}" ORDER BY 1, 2`).all()]),
    );
  } finally {
    db.close();
  }
}
