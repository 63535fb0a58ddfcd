/**
 * Goal: the catalog is the fold of the journal, however it came to be, and right at every commit.
 * Method: random steps go through a real vault; its catalog is compared with one rebuilt from the journal, with ones folded in
 * other batch sizes, and at every commit with a model that keeps plain maps. fast-check prints the seed of a failure.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import fc from 'fast-check';
import { JournalReader, type Lsn, type MailboxId, type StepRecord } from '../journal/index.ts';
import { silentLog, TestClock } from '../lib/index.ts';
import { Catalog } from './catalog.ts';
import { rebuildCatalog } from './catch-up.ts';
import type { CatalogEntry, FrameRow } from './fold.ts';
import { indexBody } from './index-body.ts';
import { SCHEMA_VERSION } from './schema.ts';
import { dumpTables, temporaryFolder } from './testing.ts';
import { parseUidSet } from './uid-set.ts';
import { Vault } from './vault.ts';
import { vaultFiles } from './vault-files.ts';

type Action =
  | { readonly do: 'account' | 'account-gone'; readonly account: number }
  | { readonly do: 'mailbox'; readonly account: number; readonly name: number }
  | { readonly do: 'mailbox-gone' | 'rename' | 'set-aside'; readonly mailbox: number; readonly n: number }
  | { readonly do: 'message' | 'flags'; readonly mailbox: number; readonly uid: number; readonly n: number }
  | { readonly do: 'vanished'; readonly mailbox: number; readonly uid: number; readonly to: number }
  | { readonly do: 'subscriptions'; readonly account: number; readonly n: number };

const small = (max: number) => fc.integer({ min: 0, max });
const uid = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1020, max: 1030 }) },
);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('account', 'account-gone'), account: small(2) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('mailbox'), account: small(2), name: small(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('mailbox-gone', 'rename', 'set-aside'),
      mailbox: small(2),
      n: small(3),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constantFrom('message', 'flags'), mailbox: small(2), uid, n: small(6) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('vanished'), mailbox: small(2), uid, to: uid }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('subscriptions'), account: small(2), n: small(3) }) },
) as fc.Arbitrary<Action>;
const steps = fc.array(fc.array(action, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 25 });

/** What lives, in plain maps: mailbox id -> name and messages. */
class Model {
  readonly mailboxes = new Map<MailboxId, { account: string; name: string; messages: Map<number, string> }>();

  apply(record: StepRecord): void {
    if (record.t === 'mailbox') {
      this.mailboxes.set(record.id, { account: record.account, name: record.name, messages: new Map() });
    } else if (record.t === 'account-gone') {
      for (const [id, { account }] of this.mailboxes)
        if (account === record.account) this.mailboxes.delete(id);
    }
    if (!('id' in record)) return;
    const mailbox = this.mailboxes.get(record.id);
    if (!mailbox) return;
    const { messages } = mailbox;
    if (record.t === 'mailbox-gone') this.mailboxes.delete(record.id);
    else if (record.t === 'mailbox-change' && record.name !== undefined) mailbox.name = record.name;
    else if (record.t === 'message')
      messages.set(record.uid, `${Buffer.from(record.hash).toString('hex')} ${record.flags}`);
    else if (record.t === 'flags') {
      const known = messages.get(record.uid);
      if (known !== undefined) messages.set(record.uid, `${known.split(' ')[0]} ${record.flags}`);
    } else if (record.t === 'vanished') {
      for (const [first, last] of parseUidSet(record.uids) ?? []) {
        for (const one of [...messages.keys()]) if (one >= first && one <= last) messages.delete(one);
      }
    }
  }

  state(): unknown {
    return [...this.mailboxes]
      .map(([id, { account, name, messages }]) => [
        id,
        account,
        name,
        [...messages].sort((a, b) => a[0] - b[0]),
      ])
      .sort((a, b) => (a[0] as number) - (b[0] as number));
  }
}

/** The mailboxes with their messages; what else tells of them must agree. */
function stateOf(catalog: Catalog, at?: Lsn): unknown {
  const accounts = catalog.accounts(at);
  assert.deepEqual(
    catalog.accountNames(at),
    accounts.map(({ account }) => account),
  );
  return accounts
    .flatMap(({ account, mailboxCount, messageCount }) => {
      const mailboxes = catalog.mailboxes(account, at);
      const counted = mailboxes.reduce((sum, { id }) => sum + catalog.countMessages(id, at).messages, 0);
      assert.deepEqual([mailboxCount, messageCount], [mailboxes.length, counted]);
      const states = at === undefined ? [] : catalog.mailboxStates(account, at);
      for (const { row, messages, uidNext } of states) {
        assert.equal(messages, catalog.countMessages(row.id, at).messages);
        assert.equal(uidNext, catalog.uidNextAt(row.id, at as Lsn));
      }
      if (at !== undefined) assert.equal(states.length, mailboxes.length);
      return mailboxes;
    })
    .sort((a, b) => a.id - b.id)
    .map(({ id, account, name }) => {
      const messages = [...catalog.iterateMessages(id, at)];
      assert.equal(catalog.countMessages(id, at).messages, messages.length);
      return [
        id,
        account,
        name,
        messages.map((row) => [row.uid, `${Buffer.from(row.hash).toString('hex')} ${row.flags}`]),
      ];
    });
}

/** An action as a record, on mailboxes begun so far; undefined when there is none. */
function recordOf(vault: Vault, begun: MailboxId[], act: Action): StepRecord | undefined {
  const account = 'account' in act ? `account${act.account}` : '';
  const id = 'mailbox' in act ? begun[act.mailbox % Math.max(1, begun.length)] : undefined;
  switch (act.do) {
    case 'account':
    case 'account-gone':
      return { t: act.do, account };
    case 'subscriptions':
      return { t: 'subscriptions', account, names: Array.from({ length: act.n }, (_, i) => `box${i}`) };
    case 'mailbox': {
      const next = vault.nextMailboxId();
      begun.push(next);
      const name = `box${act.name}-${next}`;
      return {
        t: 'mailbox',
        id: next,
        account,
        name,
        delimiter: '/',
        uidValidity: next,
        specialUse: [],
        subscribed: false,
      };
    }
  }
  if (id === undefined) return undefined;
  switch (act.do) {
    case 'mailbox-gone':
      return { t: 'mailbox-gone', id };
    case 'rename':
      return { t: 'mailbox-change', id, name: `renamed${act.n}-${id}` };
    case 'set-aside':
      return { t: 'set-aside', id, uid: act.n + 1, code: 'C', detail: '' };
    case 'flags':
      return { t: 'flags', id, uid: act.uid, flags: act.n === 0 ? [] : [`flag${act.n}`] };
    case 'vanished':
      return { t: 'vanished', id, uids: act.uid === act.to ? `${act.uid}` : `${act.uid}:${act.to}` };
    case 'message': {
      const { hash, size } = vault.putBody(
        Buffer.from(`Subject: ${act.n}\r\n\r\n${'x'.repeat(act.n * 700)}`),
      );
      const date = '17-Jul-2026 02:44:25 +0200';
      return {
        t: 'message',
        id,
        uid: act.uid,
        hash,
        size,
        flags: [`f${act.n}`],
        date,
        guid: `g${act.n % 4}`,
      };
    }
  }
}

test('catalog = fold of the journal, at every commit and in any batches', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
      async (plan, sizes) => {
        const dir = mkdtempSync(join(tmpdir(), 'understudy-fold-'));
        try {
          await checkPlan(dir, plan, sizes);
        } finally {
          rmSync(dir, { recursive: true, force: true });
        }
      },
    ),
    { numRuns: 40 },
  );
});

async function checkPlan(dir: string, plan: Action[][], sizes: number[]): Promise<void> {
  const clock = new TestClock();
  const model = new Model();
  const states: [Lsn, unknown][] = [];
  const vault = await Vault.open({ dir, clock, log: silentLog, frameBytes: 2000 });
  const begun: MailboxId[] = [];
  for (const [i, actions] of plan.entries()) {
    const records = actions.flatMap((act) => recordOf(vault, begun, act) ?? []);
    if (records.length === 0) continue;
    if (i % 5 === 0) records.push({ t: 'checkpoint', cause: 'pass' });
    for (const record of records) model.apply(record);
    clock.advance(1000);
    const { lsn } = await vault.commit(records);
    states.push([lsn, model.state()]);
  }
  for (const [lsn, state] of states) assert.deepEqual(stateOf(vault.catalog, lsn), state);
  assert.deepEqual(stateOf(vault.catalog), model.state());
  checkCounts(
    vault.catalog,
    states.map(([lsn]) => lsn),
  );
  await vault.close();
  const files = vaultFiles(dir);
  const live = dumpTables(files.catalog);

  await rebuildCatalog({ dir, clock });
  assert.deepEqual(dumpTables(files.catalog), live, 'rebuilt');
  const reader = await JournalReader.open({ storage: files.journal });
  await foldInBatches(reader, join(dir, 'batches.sqlite'), sizes);
  await reader.close();
  assert.deepEqual(dumpTables(join(dir, 'batches.sqlite')), live, 'other batches');
}

/** The counts that are kept must be those that are counted. */
function checkCounts(catalog: Catalog, lsns: readonly Lsn[]): void {
  for (const { id } of catalog.mailboxHistory()) {
    const counted = [...catalog.iterateMessages(id)];
    assert.equal(catalog.countMessages(id).messages, counted.length);
    assert.equal(
      catalog.countMessages(id).bytes,
      counted.reduce((sum, { size }) => sum + size, 0),
    );
    for (const at of lsns)
      assert.equal(catalog.countMessages(id, at).messages, [...catalog.iterateMessages(id, at)].length);
  }
}

async function foldInBatches(reader: JournalReader, file: string, sizes: readonly number[]): Promise<void> {
  const catalog = Catalog.create(file, reader.journalId);
  let batch: CatalogEntry[] = [];
  let frames: FrameRow[] = [];
  let turn = 0;
  for await (const frame of reader.frames(1 as Lsn)) {
    frames.push(frame);
    for (const { lsn, record } of frame.entries) {
      const reduced = record.t === 'body' ? indexBody(record) : record;
      if (reduced) batch.push({ lsn, record: reduced });
      if (batch.length < (sizes[turn % sizes.length] as number)) continue;
      turn += 1;
      catalog.apply(batch, frames);
      batch = [];
      frames = [];
    }
  }
  catalog.apply(batch, frames);
  catalog.close();
}

test('the schema is the one written down: a change of it needs a new version and a new file', (t) => {
  const file = join(temporaryFolder(t), 'catalog.sqlite');
  Catalog.create(file, 'x').close();
  const db = new DatabaseSync(file, { readOnly: true });
  const rows = db
    .prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name')
    .all();
  db.close();
  const dumped = rows.map(({ sql }) => `${String(sql).replace(/\s+/g, ' ')};\n`).join('');
  const written = join(import.meta.dirname, `../../tests/catalog/schema-v${SCHEMA_VERSION}.sql`);
  assert.equal(dumped, readFileSync(written, 'utf8'));
});
