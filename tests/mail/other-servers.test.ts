/**
 * Goal: what is promised of Dovecot holds of servers that are not it: a Cyrus, which has every extension and proxies for its admin, and a
 * Courier, which has hardly any. Method: mail made to break parsers goes in; what an independent client reads there is
 * compared with the replica, with an export, and with what a restore brought back.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import type { ImapFlow } from 'imapflow';
import { Vault, VaultReader, vaultFiles } from '../../src/catalog/index.ts';
import { loadConfig, serverNamed } from '../../src/config/index.ts';
import { exportAccount } from '../../src/history/index.ts';
import { JournalReader, type Lsn } from '../../src/journal/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import {
  type MailDeps,
  type RestoreRequest,
  restoreMail,
  type ShadowSummary,
  shadowOnce,
  verifyMail,
} from '../../src/workloads/mail/index.ts';
import { corpusMissing, nastyMessages } from '../lab/corpus.ts';
import { courierMissing, startCourier } from '../lab/courier.ts';
import { type CyrusOptions, cyrusMissing, startCyrus } from '../lab/cyrus.ts';
import { type AccountDump, connectImap, dumpAccount, type ImapLogin } from '../lab/imap-check.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { assertBodiesReadable, assertEqualStates, replicaState, SERVER, sha256 } from './support.ts';
import { run } from './understudy.ts';

const ACCOUNT = 'user0001';
const OTHER = 'user0002';

/** A server as these tests need it. */
interface Lab {
  readonly address: string;
  readonly imapPort: number;
  accountPassword(account: string): string;
  stop(): Promise<void>;
}

interface Kind {
  readonly name: string;
  readonly missing: string | false;
  /** Of the account's own mailboxes. */
  readonly prefix: string;
  readonly delimiter: string;
  /** What the account sees of another's `Team` and of a shared `news`, when it may. */
  readonly foreign: readonly string[];
  /** The corpus takes its time: not for every configuration. */
  readonly corpus: boolean;
  start(): Promise<Lab>;
  /** How Understudy logs in, as the guide says it. */
  configuration(lab: Lab): readonly string[];
}

function cyrus(
  kind: Pick<Kind, 'name' | 'prefix' | 'delimiter' | 'foreign' | 'corpus'>,
  options: CyrusOptions,
): Kind {
  return {
    ...kind,
    missing: cyrusMissing,
    start: () => startCyrus({ ...options, accounts: [ACCOUNT, OTHER] }),
    configuration: ({ imapPort }) => [
      `imap: { port: ${imapPort}, security: none, masterUser: understudy, masterSecret: secret-of-understudy }`,
      `accounts: { list: [${ACCOUNT}] }`,
    ],
  };
}

const CYRUS = cyrus(
  {
    name: 'Cyrus',
    prefix: '',
    delimiter: '/',
    foreign: ['Other Users/user0002/Team', 'Shared Folders/news'],
    corpus: true,
  },
  {},
);
/** As it was by itself before 3.0. Shared mailboxes have no prefix there. */
const CYRUS_BELOW_INBOX = cyrus(
  {
    name: 'Cyrus with mailboxes below INBOX and dots',
    prefix: 'INBOX.',
    delimiter: '.',
    foreign: ['user.user0002.Team', 'news'],
    corpus: false,
  },
  { altNamespace: false, unixHierarchySeparator: false },
);
const COURIER: Kind = {
  name: 'Courier',
  missing: courierMissing,
  prefix: 'INBOX.',
  delimiter: '.',
  foreign: [],
  corpus: true,
  start: () => startCourier({ accounts: [ACCOUNT, OTHER] }),
  configuration: ({ imapPort, accountPassword }) => [
    `imap: { port: ${imapPort}, security: none }`,
    `accounts: { list: [{ name: ${ACCOUNT}, secret: ${accountPassword(ACCOUNT)} }] }`,
  ],
};

class World {
  readonly lab: Lab;
  readonly configFile: string;
  readonly #t: TestContext;
  readonly #kind: Kind;
  #vault: Vault | undefined;

  static async start(t: TestContext, kind: Kind): Promise<World> {
    const lab = await kind.start();
    t.after(() => lab.stop());
    const world = new World(t, kind, lab);
    // Until it was selected once, Courier tells another UIDVALIDITY of INBOX every second.
    await (await world.client()).mailboxOpen('INBOX');
    return world;
  }

  constructor(t: TestContext, kind: Kind, lab: Lab) {
    this.#t = t;
    this.#kind = kind;
    this.lab = lab;
    const folder = temporaryDirectory('other', t).path;
    this.configFile = join(folder, 'understudy.yaml');
    writeFileSync(
      this.configFile,
      [
        `dataDir: ${join(folder, 'data')}`,
        'servers:',
        `  ${SERVER}:`,
        '    workload: mail',
        `    host: ${lab.address}`,
        ...kind.configuration(lab).map((line) => `    ${line}`),
        '',
      ].join('\n'),
    );
    t.after(() => this.closeVault());
  }

  /** The server's name of the mailbox `levels`. */
  name(...levels: string[]): string {
    return this.#kind.prefix + levels.join(this.#kind.delimiter);
  }

  login(account = ACCOUNT): ImapLogin {
    const { address, imapPort, accountPassword } = this.lab;
    return { host: address, port: imapPort, user: account, pass: accountPassword(account) };
  }

  /** A client of the account, until the test ends. */
  async client(account = ACCOUNT): Promise<ImapFlow> {
    const client = await connectImap(this.login(account));
    this.#t.after(() => client.close());
    return client;
  }

  async deps(): Promise<MailDeps> {
    const config = loadConfig(this.configFile);
    const dir = join(config.dataDir, SERVER);
    this.#vault ??= await Vault.open({ dir, clock: systemClock, log: silentLog });
    return {
      server: SERVER,
      config: serverNamed(config, SERVER),
      vault: this.#vault,
      clock: systemClock,
      log: silentLog,
    };
  }

  async closeVault(): Promise<void> {
    const vault = this.#vault;
    this.#vault = undefined;
    await vault?.close();
  }

  async shadow(): Promise<ShadowSummary> {
    const summary = await shadowOnce(await this.deps());
    assert.deepEqual(summary.problems, []);
    return summary;
  }

  async assertPassAppendsNothing(): Promise<void> {
    const { vault } = await this.deps();
    const before = vault.committedLsn;
    await this.shadow();
    await this.assertNothingSince(before);
  }

  /** Fails, showing what was appended, when something was. */
  async assertNothingSince(lsn: Lsn): Promise<void> {
    const { vault } = await this.deps();
    if (vault.committedLsn === lsn) return;
    const reader = await JournalReader.open({ storage: vaultFiles(vault.dir).journal });
    const appended: string[] = [];
    for await (const { record } of reader.entries((lsn + 1) as Lsn)) appended.push(inspect(record));
    await reader.close();
    assert.fail(`a pass over an unchanged server appended:\n${appended.join('\n')}`);
  }

  /** What the server holds of the account itself, without levels of the hierarchy that hold no mail. */
  async served(): Promise<AccountDump> {
    const isOwn = (name: string) => !this.#kind.foreign.includes(name);
    const dump = await dumpAccount(this.login(), { mailboxes: isOwn });
    return new Map([...dump].filter(([, { selectable }]) => selectable));
  }

  async assertReplicaIs(served: AccountDump, message?: string): Promise<void> {
    const { vault } = await this.deps();
    assertEqualStates(new Map([[ACCOUNT, served]]), replicaState(vault.catalog, [ACCOUNT]), message);
  }

  /** A pass, after which the replica is what the server holds and `verify` says so. */
  async follow(message = 'a pass'): Promise<AccountDump> {
    await this.shadow();
    const served = await this.served();
    await this.assertReplicaIs(served, message);
    const report = await verifyMail(await this.deps(), { bodies: 'all' });
    assert.deepEqual([report.differences, report.problems, report.equal], [[], [], true], message);
    return served;
  }

  async restore(request: Omit<RestoreRequest, 'dryRun'>) {
    const report = await restoreMail(await this.deps(), { ...request, dryRun: false });
    assert.deepEqual(report.problems, []);
    return report;
  }
}

const FLAGS = [
  [],
  ['\\Seen'],
  ['\\Seen', '\\Answered', '$Forwarded'],
  ['\\Flagged', '$Label1', 'NonJunk'],
  ['\\Draft'],
];

function mail(text: string): Buffer {
  return Buffer.from(`From: a@example.org\r\nSubject: ${text}\r\n\r\n${text}\r\n`);
}

/** Appends the corpus, or mail of our own; how many the server took. */
async function fill(world: World, corpus: boolean): Promise<number> {
  const client = await world.client();
  const names = [['nasty'], ['Entwürfe & Pläne'], ['deep', 'er', 'est']].map((levels) =>
    world.name(...levels),
  );
  for (const name of names) await client.mailboxCreate(name);
  const targets = ['INBOX', ...names];
  const messages = corpus ? [...nastyMessages()].map(({ raw }) => raw) : ownMessages();
  let taken = 0;
  for (const [index, raw] of messages.entries()) {
    const date = new Date(Date.UTC(2020, 0, 1 + (index % 365), 1, 2, 3));
    try {
      await client.append(
        targets[index % targets.length] as string,
        raw,
        FLAGS[index % FLAGS.length] as string[],
        date,
      );
      taken += 1;
    } catch (error) {
      // Cyrus refuses NUL, bare line ends and headers that are none. What it serves is what counts.
      if ((error as { responseStatus?: string }).responseStatus !== 'NO') throw error;
    }
  }
  // Gaps, so that UIDs are not just 1, 2, 3.
  for (const name of targets) {
    await client.mailboxOpen(name);
    await client.messageDelete('2,5,7:8', { uid: true });
  }
  await client.logout();
  return taken;
}

function ownMessages(): Buffer[] {
  return Array.from({ length: 40 }, (_, index) => mail(`message ${index}`));
}

/** A command that imapflow has no method for; its arguments are strings. */
async function command(client: ImapFlow, verb: string, ...values: string[]): Promise<void> {
  const { exec } = client as unknown as {
    exec(verb: string, attributes: object[]): Promise<{ next(): void }>;
  };
  const response = await exec.call(
    client,
    verb,
    values.map((value) => ({ type: 'STRING', value })),
  );
  response.next();
}

async function assertExportIs(
  t: TestContext,
  world: World,
  served: AccountDump,
  delimiter: string,
): Promise<void> {
  const { vault } = await world.deps();
  const { dir } = vault;
  await world.closeVault();
  const to = temporaryDirectory('export', t).path;
  const reader = await VaultReader.open({ dir, clock: systemClock });
  try {
    await exportAccount(reader, { account: ACCOUNT, to, format: 'eml' }, { clock: systemClock });
  } finally {
    await reader.close();
  }
  for (const [name, { messages }] of served) {
    const folder = join(to, ...name.split(delimiter));
    assert.equal(readdirSync(folder).filter((file) => file.endsWith('.eml')).length, messages.length, name);
    for (const { uid, sha256: expected } of messages) {
      assert.equal(sha256(readFileSync(join(folder, `${uid}.eml`))), expected, `${name} UID ${uid}`);
    }
  }
}

for (const kind of [CYRUS, CYRUS_BELOW_INBOX, COURIER]) {
  describe(kind.name, { skip: kind.missing, concurrency: true }, () => {
    it('is held byte for byte; a second run appends nothing, an export is the same', async (t) => {
      const world = await World.start(t, kind);
      const corpus = kind.corpus && !corpusMissing;
      assert.ok((await fill(world, corpus)) >= (corpus ? 500 : 40));
      const first = await run(world.configFile, ['shadow', SERVER, '--once']);
      assert.equal(first.status, 0, first.stderr);
      const { vault } = await world.deps();
      const lsn = vault.committedLsn;
      const served = await world.served();
      await world.assertReplicaIs(served);
      const held = [...served.values()].reduce((sum, { messages }) => sum + messages.length, 0);
      assert.equal(await assertBodiesReadable(vault, ACCOUNT), held);
      await world.closeVault();
      const second = await run(world.configFile, ['shadow', SERVER, '--once']);
      assert.equal(second.status, 0, second.stderr);
      await world.assertNothingSince(lsn);
      const report = await verifyMail(await world.deps(), { bodies: 'all' });
      assert.deepEqual([report.differences, report.problems, report.equal], [[], [], true]);
      await assertExportIs(t, world, served, kind.delimiter);
    });

    it('is followed: mail that comes, changes, moves and goes, mailboxes too', async (t) => {
      const world = await World.start(t, kind);
      const client = await world.client();
      const [work, archive] = [world.name('Work'), world.name('Archive', '2026')];
      await client.mailboxCreate(work);
      await client.mailboxCreate(archive);
      for (let index = 0; index < 12; index += 1) await client.append(work, mail(`old ${index}`), ['\\Seen']);
      await world.follow('at first');
      await world.assertPassAppendsNothing();

      await client.append(work, mail('new'), ['$Label1'], new Date('2001-09-09T01:46:40Z'));
      await client.append('INBOX', mail('in'));
      await world.follow('mail came');

      await client.mailboxOpen(work);
      await client.messageFlagsAdd('1:3', ['\\Flagged', '$Work'], { uid: true });
      await client.messageFlagsRemove('4', ['\\Seen'], { uid: true });
      await world.follow('flags changed');

      await client.messageDelete('5:6', { uid: true });
      await world.follow('messages were expunged');

      await client.messageMove('1:2', archive, { uid: true });
      await world.follow('messages were moved');

      await client.mailboxClose();
      await client.mailboxRename(archive, world.name('Archive', 'Old & gone'));
      const renamed = await world.follow('a mailbox was renamed');
      assert.equal(renamed.get(world.name('Archive', 'Old & gone'))?.messages.length, 2);

      await client.mailboxDelete(work);
      const without = await world.follow('a mailbox was deleted');
      assert.equal(without.has(work), false);

      await client.mailboxCreate(work);
      await client.append(work, mail('another life'));
      const again = await world.follow('it was made again');
      assert.equal(again.get(work)?.messages.length, 1);
      await world.assertPassAppendsNothing();
    });

    it('gets back a message and a mailbox that were deleted', async (t) => {
      const world = await World.start(t, kind);
      const client = await world.client();
      const work = world.name('Work', 'Pläne');
      await client.mailboxCreate(work);
      for (let index = 0; index < 6; index += 1) {
        const date = new Date(Date.UTC(2020, 5, 1 + index, 4, 5, 6));
        await client.append(work, mail(`work ${index}`), FLAGS[index % FLAGS.length] as string[], date);
        await client.append('INBOX', mail(`in ${index}`), ['\\Seen'], date);
      }
      const before = await world.follow();
      await client.mailboxOpen('INBOX');
      await client.messageDelete('3', { uid: true });
      await client.mailboxClose();
      await client.mailboxDelete(work);
      await world.follow('after the loss');

      const message = await world.restore({ account: ACCOUNT, mailbox: 'INBOX', uids: '3' });
      assert.equal(message.messagesRestored, 1);
      const mailbox = await world.restore({ account: ACCOUNT, mailbox: work });
      assert.equal(mailbox.messagesRestored, 6);
      const after = await world.follow('after the restore');
      const texts = (dump: AccountDump) =>
        [...dump].map(([name, { messages }]) => [
          name,
          messages
            .map(({ sha256: hash, flags, internalDate }) => [hash, ...flags, internalDate].join(' '))
            .sort(),
        ]);
      assert.deepEqual(texts(after), texts(before));
      await world.assertPassAppendsNothing();
    });
  });
}

for (const kind of [CYRUS, CYRUS_BELOW_INBOX]) {
  describe(`rights in ${kind.name}`, { skip: kind.missing, concurrency: true }, () => {
    it('show mailboxes of others and shared ones, which are not taken for the account’s own', async (t) => {
      const world = await World.start(t, kind);
      const other = await world.client(OTHER);
      const team = world.name('Team');
      await other.mailboxCreate(team);
      await other.append(team, mail('of the team'));
      await command(other, 'SETACL', team, ACCOUNT, 'lrs');
      const { address, imapPort } = world.lab;
      const admin = await connectImap({
        host: address,
        port: imapPort,
        user: 'cyrus',
        pass: 'secret-of-cyrus',
      });
      t.after(() => admin.close());
      await command(admin, 'CREATE', 'news');
      await command(admin, 'SETACL', 'news', ACCOUNT, 'lrs');
      const client = await world.client();
      await client.mailboxCreate(world.name('Own'));
      await client.append('INBOX', mail('my own'));
      const seen: string[] = [];
      await dumpAccount(world.login(), { mailboxes: (name) => seen.push(name) < 0 });
      for (const name of kind.foreign) assert.ok(seen.includes(name), `${name} in ${seen}`);
      await world.follow();
      await world.assertPassAppendsNothing();
    });

    it('that are taken away from a mailbox are a problem of the account, not a deletion', async (t) => {
      const world = await World.start(t, kind);
      const client = await world.client();
      const closed = world.name('Closed');
      await client.mailboxCreate(closed);
      await client.append(closed, mail('in it'));
      const before = await world.follow();
      await command(client, 'SETACL', closed, ACCOUNT, 'la');
      await client.append('INBOX', mail('beside it'));
      const { problems } = await shadowOnce(await world.deps());
      assert.deepEqual(
        problems.map(({ account, code }) => [account, code]),
        [[ACCOUNT, 'MAIL_COMMAND_REFUSED']],
      );
      const held = replicaState((await world.deps()).vault.catalog, [ACCOUNT]).get(ACCOUNT);
      assert.deepEqual(held?.get(closed)?.messages, before.get(closed)?.messages);
      assert.equal(held?.get('INBOX')?.messages.length, 1);
      await command(client, 'SETACL', closed, ACCOUNT, 'lrswipkxtecda');
      await world.follow('they came back');
    });
  });
}
