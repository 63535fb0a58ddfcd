/**
 * What the tests of the mail workload share: a real Dovecot with a configuration and a vault of its own, and the
 * replica read in the shape of an independent client's reading of the server, so that the two can be compared.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { inspect } from 'node:util';
import { type Catalog, Vault, vaultFiles } from '../../src/catalog/index.ts';
import { type Config, loadConfig, serverNamed } from '../../src/config/index.ts';
import { JournalReader, type Lsn } from '../../src/journal/index.ts';
import { type Log, silentLog, systemClock } from '../../src/lib/index.ts';
import { type MailDeps, type ShadowSummary, shadowOnce } from '../../src/workloads/mail/index.ts';
import { type Dovecot, type DovecotOptions, startDovecot } from '../lab/dovecot.ts';
import {
  type AccountDump,
  type CompareOptions,
  compareDumps,
  type DumpedMailbox,
  type DumpedMessage,
  dumpAccount,
  type ImapLogin,
} from '../lab/imap-check.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';

/** The reason to skip where the servers cannot be installed, else false. */
export const serversMissing: string | false =
  requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd']) ?? false;

/** Name of the protected server in every configuration here. */
export const SERVER = 'mail-a';

export interface MailLabOptions extends DovecotOptions {
  /** Configures the doveadm HTTP API, so that restored mailboxes keep UIDVALIDITY and UIDs. */
  readonly doveadm?: boolean;
  /** Host and port to reach the server's IMAP by, where something lies between: a proxy. */
  readonly through?: { readonly host: string; readonly port: number };
  /** Lines of the server's configuration beside host, imap, doveadm and accounts; not indented. */
  readonly serverLines?: readonly string[];
  /** Top-level lines of the configuration. */
  readonly lines?: readonly string[];
  /** Instead of a folder that goes with the test. */
  readonly dataDir?: string;
  /** Accounts that the configuration lists; default: those of the server. */
  readonly listed?: readonly string[];
  /** Where what Understudy says goes; default: nowhere. */
  readonly log?: Log;
}

/** The combinations of store and capabilities that every promise of the workload has to hold for. */
export const variants: readonly { readonly name: string; readonly options: MailLabOptions }[] = [
  { name: 'maildir', options: { format: 'maildir' } },
  { name: 'mdbox', options: { format: 'mdbox' } },
  { name: 'maildir without CONDSTORE', options: { format: 'maildir', hideCondstore: true } },
];

export class MailLab {
  readonly dovecot: Dovecot;
  readonly configFile: string;
  readonly config: Config;
  readonly vaultDir: string;
  readonly #t: TestContext;
  readonly #log: Log;
  readonly #endings: (() => unknown)[] = [];
  #vault: Vault | undefined;

  /** Starts a server; it, the vault opened here and all files end with the test. */
  static async start(t: TestContext, options: MailLabOptions = {}): Promise<MailLab> {
    // Nothing here cuts the power of the mail server: its fsync would only cost time.
    const dovecot = await startDovecot({ fsync: 'never', ...options });
    try {
      return new MailLab(t, dovecot, options);
    } finally {
      // After what the lab itself has to end: a session that is still open makes the server linger.
      t.after(() => dovecot.stop());
    }
  }

  constructor(t: TestContext, dovecot: Dovecot, options: MailLabOptions = {}) {
    this.#t = t;
    this.#log = options.log ?? silentLog;
    this.dovecot = dovecot;
    const folder = temporaryDirectory('mail', t).path;
    const dataDir = options.dataDir ?? join(folder, 'data');
    this.configFile = join(folder, 'understudy.yaml');
    writeFileSync(this.configFile, configuration(dovecot, dataDir, options));
    this.config = loadConfig(this.configFile);
    this.vaultDir = join(dataDir, SERVER);
    t.after(() => this.#end());
  }

  /** Does `work` when the test ends, before the vault is closed and the server stopped; the last one first. */
  after(work: () => unknown): void {
    this.#endings.push(work);
  }

  async #end(): Promise<void> {
    for (const work of this.#endings.splice(0).reverse()) await work();
    await this.closeVault();
  }

  /** The vault, opened at the first use. */
  async vault(): Promise<Vault> {
    this.#vault ??= await Vault.open({
      dir: this.vaultDir,
      clock: systemClock,
      log: this.#log,
      segmentBytes: this.config.journal.segmentSize,
    });
    return this.#vault;
  }

  /** Another process can open it then. May be repeated. */
  async closeVault(): Promise<void> {
    const vault = this.#vault;
    this.#vault = undefined;
    await vault?.close();
  }

  async deps(): Promise<MailDeps> {
    return {
      server: SERVER,
      config: serverNamed(this.config, SERVER),
      vault: await this.vault(),
      clock: systemClock,
      log: this.#log,
    };
  }

  /** One pass that must meet no problem. */
  async shadow(): Promise<ShadowSummary> {
    const summary = await shadowOnce(await this.deps());
    assert.deepEqual(summary.problems, []);
    return summary;
  }

  /** Fails, showing what was appended, unless a pass over the unchanged server appends nothing. */
  async assertPassAppendsNothing(): Promise<void> {
    const before = (await this.vault()).committedLsn;
    const { lsn } = await this.shadow();
    if (lsn === before) return;
    const reader = await JournalReader.open({ storage: vaultFiles(this.vaultDir).journal });
    const appended: string[] = [];
    for await (const { record } of reader.entries((before + 1) as Lsn)) appended.push(inspect(record));
    await reader.close();
    assert.fail(`a pass over an unchanged server appended:\n${appended.join('\n')}`);
  }

  login(account: string): ImapLogin {
    const { dovecot } = this;
    return {
      host: dovecot.address,
      port: dovecot.imapPort,
      user: dovecot.masterLogin(account),
      pass: dovecot.masterSecret,
    };
  }

  /** What the server holds, read by an independent client. */
  async serverState(accounts: readonly string[] = this.dovecot.accounts): Promise<ServerState> {
    const state = new Map<string, AccountDump>();
    for (const account of accounts) {
      const dump = await dumpAccount(this.login(account));
      // Levels of the hierarchy that hold no mail are not shadowed.
      state.set(account, new Map([...dump].filter(([, mailbox]) => mailbox.selectable)));
    }
    return state;
  }

  /** Fails, naming every difference, unless the replica is what the server holds now. */
  async assertReplicaIsServer(message?: string): Promise<ServerState> {
    const state = await this.serverState();
    const vault = await this.vault();
    assertEqualStates(state, replicaState(vault.catalog, [...state.keys()]), message);
    return state;
  }

  get t(): TestContext {
    return this.#t;
  }
}

export type ServerState = ReadonlyMap<string, AccountDump>;

/** The replica of these accounts as of `at` (default now), in the shape of a client's reading. */
export function replicaState(catalog: Catalog, accounts: readonly string[], at?: Lsn): ServerState {
  return new Map(accounts.map((account) => [account, replicaOfAccount(catalog, account, at)]));
}

export function replicaOfAccount(catalog: Catalog, account: string, at?: Lsn): AccountDump {
  const dump = new Map<string, DumpedMailbox>();
  for (const row of catalog.mailboxes(account, at)) {
    const messages: DumpedMessage[] = [];
    for (const message of catalog.iterateMessages(row.id, at)) {
      messages.push({
        uid: message.uid,
        flags: message.flags,
        internalDate: message.date,
        size: message.size,
        bytes: message.size,
        sha256: Buffer.from(message.hash).toString('hex'),
      });
    }
    dump.set(row.name, {
      uidValidity: row.uidValidity,
      uidNext: row.uidNext,
      ...(row.specialUse[0] === undefined ? {} : { specialUse: row.specialUse[0] }),
      subscribed: row.subscribed,
      selectable: true,
      messages,
    });
  }
  return dump;
}

export function assertEqualStates(
  expected: ServerState,
  actual: ServerState,
  message = 'the two states differ',
  options: CompareOptions = {},
): void {
  const differences = [...expected].flatMap(([account, dump]) =>
    compareDumps(dump, actual.get(account) ?? new Map(), options).map((line) => `${account}: ${line}`),
  );
  assert.equal(differences.length, 0, `${message}:\n${differences.slice(0, 20).join('\n')}`);
}

/** Reads every body of the account out of the journal and compares it with what the catalog says. */
export async function assertBodiesReadable(vault: Vault, account: string): Promise<number> {
  let count = 0;
  for (const mailbox of vault.catalog.mailboxes(account)) {
    for (const { bodyLsn, hash, size, uid } of vault.catalog.iterateMessages(mailbox.id)) {
      const body = await vault.body(bodyLsn);
      const where = `${account}/${mailbox.name} UID ${uid}`;
      assert.equal(body.length, size, where);
      assert.equal(sha256(body), Buffer.from(hash).toString('hex'), where);
      count += 1;
    }
  }
  return count;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function configuration(dovecot: Dovecot, dataDir: string, options: MailLabOptions): string {
  const { host, port } = options.through ?? { host: dovecot.address, port: dovecot.imapPort };
  const listed = options.listed ?? dovecot.accounts;
  return [
    `dataDir: ${dataDir}`,
    ...(options.lines ?? []),
    'servers:',
    `  ${SERVER}:`,
    '    workload: mail',
    `    host: ${host}`,
    `    imap: { port: ${port}, security: none, masterUser: ${dovecot.masterUser}, masterSecret: ${dovecot.masterSecret} }`,
    ...(options.doveadm
      ? [`    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: ${dovecot.doveadmKey} }`]
      : []),
    `    accounts: { list: ${JSON.stringify(listed)} }`,
    ...(options.serverLines ?? []).map((line) => `    ${line}`),
    '',
  ].join('\n');
}
