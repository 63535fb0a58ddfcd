/**
 * A pair to take over: live and standby Dovecot, slapd, a front door, the command in processes of its own. What is compared at the end is
 * read by a client that is not ours.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { type Slapd, startSlapd } from '../../src/demo/directory/index.ts';
import { ldapDirectory } from '../../src/directory/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { proxyStats, stopProxy } from '../../src/rehome/index.ts';
import { freePort } from '../lab/address.ts';
import { type Dovecot, type DovecotOptions, startDovecot } from '../lab/dovecot.ts';
import { fillDovecot } from '../lab/fill.ts';
import {
  type AccountDump,
  type CompareOptions,
  compareDumps,
  dumpAccount,
  type ImapLogin,
} from '../lab/imap-check.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { requirePackages } from '../lab/packages.ts';
import { startProcessGroup } from '../lab/process-group.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { type Ended, type Running, start } from '../mail/understudy.ts';

export const missing: string | false =
  requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'slapd', 'ldap-utils']) ?? false;

export const PAIR = 'mail';

export interface WorldOptions {
  readonly accounts?: number;
  readonly messages?: number;
  readonly directory?: boolean;
  readonly door?: boolean;
  readonly warm?: boolean;
  /** Synchronous protection by pushed events. */
  readonly push?: boolean;
  /** Further lines of the pair, not indented. */
  readonly pairLines?: readonly string[];
  readonly live?: DovecotOptions;
  readonly standby?: DovecotOptions;
  /** False: the live server is a plain IMAP server to us. */
  readonly liveDoveadm?: boolean;
  /** Further lines of the live server, not indented. */
  readonly liveLines?: readonly string[];
  /** False: the standby is a plain IMAP server to us. */
  readonly standbyDoveadm?: boolean;
  /** What the directory says where accounts are. Default: the live server's address. */
  readonly mailHost?: string;
}

/** What a command with `--json` printed. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is the operation's; a test reads what it needs.
export type Printed = any;

type State = ReadonlyMap<string, AccountDump>;

interface Parts {
  readonly live: Dovecot;
  readonly standby: Dovecot;
  readonly slapd: Slapd | undefined;
  readonly folder: string;
  readonly ports: { readonly api: number; readonly imap: number; readonly lmtp: number };
}

export class World {
  readonly parts: Parts;
  readonly configFile: string;
  readonly config: Config;
  #service: Running | undefined;

  static async start(t: TestContext, options: WorldOptions = {}): Promise<World> {
    const { path: folder, remove } = temporaryDirectory('take-over');
    // The last made is ended first: a front door is told to end by what lies in the folder.
    const endings: (() => unknown)[] = [remove];
    t.after(async () => {
      for (const end of endings.reverse()) await end();
    });
    const accounts = options.accounts ?? 3;
    const api = await freePort();
    const push = (server: string) =>
      options.push ? { push: { url: `http://127.0.0.1:${api}/push/${server}`, timeoutMs: 2_500 } } : {};
    const live = await startDovecot({ accounts, fsync: 'never', ...push('mail-a'), ...options.live });
    endings.push(() => live.stop());
    // Where no client takes them for its own end, as may happen on 127.0.0.1.
    const ports = { api, imap: await freePort(live.address), lmtp: await freePort(live.address) };
    const standby = await startDovecot({ accounts, fsync: 'never', ...push('mail-b'), ...options.standby });
    endings.push(() => standby.stop());
    await fillDovecot(live, { messages: options.messages ?? 40, approxBytes: 1_500 });
    const slapd =
      options.directory === false
        ? undefined
        : await startSlapd({
            folder: join(folder, 'slapd'),
            accounts: live.accounts,
            mailHost: options.mailHost ?? live.address,
          });
    endings.push(() => slapd?.stop());
    const world = new World({ live, standby, slapd, folder, ports }, options);
    endings.push(() => world.endProcesses());
    return world;
  }

  private constructor(parts: Parts, options: WorldOptions) {
    this.parts = parts;
    mkdirSync(join(parts.folder, 'data'), { mode: 0o700 });
    this.configFile = join(parts.folder, 'understudy.yaml');
    writeFileSync(this.configFile, configuration(parts, options));
    this.config = loadConfig(this.configFile);
  }

  /** The service and the front door, before what they write to goes. May be repeated. */
  async endProcesses(): Promise<void> {
    await this.#service?.kill9();
    if (this.config.pairs[PAIR]?.rehome.length === 0) return;
    await stopProxy(this.config, PAIR, { clock: systemClock, log: silentLog }).catch(() => {
      // None was started.
    });
  }

  get live(): Dovecot {
    return this.parts.live;
  }

  get standby(): Dovecot {
    return this.parts.standby;
  }

  get accounts(): readonly string[] {
    return this.live.accounts;
  }

  get door(): { readonly imap: Place; readonly lmtp: Place } {
    const { imap, lmtp } = this.parts.ports;
    const host = this.live.address;
    return { imap: { host, port: imap }, lmtp: { host, port: lmtp } };
  }

  begin(args: readonly string[], crashAt?: string): Running {
    return start(this.configFile, args, crashAt === undefined ? {} : { crashAt });
  }

  run(...args: string[]): Promise<Ended> {
    return this.begin(args).ended;
  }

  /** With `--json`; fails with what it said unless it ends with `status`. */
  async json(status: number, ...args: string[]): Promise<Printed> {
    const ended = await this.run(...args, '--json');
    assert.equal(ended.status, status, `${args.join(' ')}: ${ended.stdout}\n${ended.stderr}`);
    return JSON.parse(ended.stdout);
  }

  async shadow(): Promise<void> {
    await this.json(0, 'shadow', 'mail-a', '--once');
  }

  /** Resolves when it answers. */
  async startService(crashAt?: string): Promise<Running> {
    const service = this.begin(['run'], crashAt);
    this.#service = service;
    const note = join(this.config.dataDir, 'service.json');
    let ended: Ended | undefined;
    void service.ended.then((value) => {
      ended = value;
    });
    await until('the service is up', 30_000, () => {
      if (ended !== undefined) assert.fail(ended.stderr);
      return existsSync(note) && readFileSync(note, 'utf8').includes(`"pid":${service.child.pid},`);
    });
    return service;
  }

  /** As an operator stops it; the front door stays. */
  async endService(): Promise<void> {
    await this.#service?.terminate();
  }

  login(server: Dovecot, account: string): ImapLogin {
    return {
      host: server.address,
      port: server.imapPort,
      user: server.masterLogin(account),
      pass: server.masterSecret,
    };
  }

  /** As a person connects: by the front door, with their own password. */
  doorLogin(account: string): ImapLogin {
    return { ...this.door.imap, user: account, pass: this.live.accountPassword(account) };
  }

  async dump(server: Dovecot): Promise<State> {
    const all = new Map<string, AccountDump>();
    for (const account of this.accounts) all.set(account, await this.dumpOf(server, account));
    return all;
  }

  async dumpOf(server: Dovecot, account: string): Promise<AccountDump> {
    const dump = await dumpAccount(this.login(server, account));
    return new Map([...dump].filter(([, mailbox]) => mailbox.selectable));
  }

  /** Hosts that the directory names, by account. */
  async mailHosts(): Promise<Record<string, readonly string[]>> {
    const { slapd } = this.parts;
    assert.ok(slapd);
    const directory = ldapDirectory({
      url: slapd.url,
      bindDn: slapd.bindDn,
      bindSecret: slapd.bindSecret,
      baseDn: slapd.baseDn,
      accountFilter: '(objectClass=inetLocalMailRecipient)',
      accountAttribute: 'uid',
      serverAttribute: 'mailHost',
    });
    return Object.fromEntries((await directory.bindings()).map(({ account, values }) => [account, values]));
  }

  /** When its entries were last written. */
  directoryStamps(): readonly string[] {
    const { slapd } = this.parts;
    assert.ok(slapd);
    const args = ['-LLL', '-x', '-H', slapd.url, '-D', slapd.bindDn, '-w', slapd.bindSecret];
    const found = execFileSync('ldapsearch', [...args, '-b', slapd.baseDn, '(uid=*)', 'entryCSN'], {
      encoding: 'utf8',
    });
    return [...found.matchAll(/^entryCSN: (.*)$/gm)].map(([, stamp]) => stamp as string).sort();
  }

  /** After it was stopped: the same address and entries. */
  async restartDirectory(t: TestContext): Promise<void> {
    const { slapd, folder } = this.parts;
    assert.ok(slapd);
    const file = join(folder, 'slapd', 'slapd.conf');
    const group = startProcessGroup('/usr/sbin/slapd', ['-d', '0', '-h', slapd.url, '-f', file]);
    t.after(() => group.stop());
    await until('the directory answers', 15_000, async () => {
      return (await this.mailHosts().catch(() => undefined)) !== undefined;
    });
  }

  /** `open` also while none runs. */
  async doorMode(): Promise<'open' | 'hold' | 'closed'> {
    return (await proxyStats(this.config, PAIR, { clock: systemClock }))?.state.mode ?? 'open';
  }

  /** Nobody is led anywhere. */
  async assertDoorClosed(): Promise<void> {
    const stats = await proxyStats(this.config, PAIR, { clock: systemClock });
    assert.equal(stats?.state.mode, 'closed');
  }

  async assertBoundTo(server: Dovecot): Promise<void> {
    const wanted = this.accounts.map((account) => [account, [server.address]]);
    assert.deepEqual(await this.mailHosts(), Object.fromEntries(wanted));
  }
}

interface Place {
  readonly host: string;
  readonly port: number;
}

function configuration({ live, standby, slapd, folder, ports }: Parts, options: WorldOptions): string {
  const server = (dovecot: Dovecot, doveadm = true) => [
    '    workload: mail',
    `    host: ${dovecot.address}`,
    `    imap: { port: ${dovecot.imapPort}, security: none, masterUser: ${dovecot.masterUser}, masterSecret: ${dovecot.masterSecret}, separator: "*" }`,
    ...(doveadm ? [`    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: ${dovecot.doveadmKey} }`] : []),
    `    services: { lmtp: ${dovecot.lmtpPort} }`,
    ...(options.push ? ['    push: { mode: synchronous }'] : []),
  ];
  return [
    `dataDir: ${join(folder, 'data')}`,
    `api: { listen: "127.0.0.1:${ports.api}" }`,
    'servers:',
    '  mail-a:',
    ...server(live, options.liveDoveadm),
    ...(options.liveLines ?? []).map((line) => `    ${line}`),
    slapd === undefined || options.mailHost !== undefined
      ? `    accounts: { list: ${JSON.stringify(live.accounts)} }`
      : '    accounts: { from: directory }',
    '  mail-b:',
    ...server(standby, options.standbyDoveadm),
    ...(slapd === undefined
      ? []
      : [
          'directories:',
          `  corp: { kind: ldap, url: "${slapd.url}", bindDn: "${slapd.bindDn}", bindSecret: ${slapd.bindSecret}, baseDn: "${slapd.baseDn}" }`,
        ]),
    'pairs:',
    `  ${PAIR}:`,
    '    live: mail-a',
    '    standby: mail-b',
    ...(slapd === undefined ? [] : ['    directory: corp']),
    ...(options.warm ? ['    warm: true'] : []),
    ...(options.door === false
      ? []
      : [
          '    rehome:',
          `      - { kind: proxy, listen: "${live.address}:${ports.imap}", to: imap, drain: 200ms }`,
          `      - { kind: proxy, listen: "${live.address}:${ports.lmtp}", to: lmtp, drain: 200ms }`,
        ]),
    ...(options.pairLines ?? []).map((line) => `    ${line}`),
    '',
  ].join('\n');
}

/** Fails, naming differences, unless the two states hold the same for every client. */
export function assertSame(expected: State, actual: State, options: CompareOptions = {}): void {
  const differences = [...expected].flatMap(([account, dump]) =>
    compareDumps(dump, actual.get(account) ?? new Map(), options).map((line) => `${account}: ${line}`),
  );
  assert.deepEqual(differences.slice(0, 20), []);
}

/** By LMTP; rejects unless it is acknowledged. */
export async function deliver(place: Place, account: string, id: string): Promise<void> {
  const lmtp = await connectLmtp({ ...place });
  try {
    await lmtp.deliver(messageOf(id), [account]);
  } finally {
    await lmtp.close();
  }
}

export function messageOf(id: string): Buffer {
  return Buffer.from(
    `From: a@example.org\r\nTo: b@example.org\r\nSubject: ${id}\r\nMessage-ID: <${id}@understudy.example>\r\n\r\n${id}\r\n`,
  );
}

export async function until(
  what: string,
  withinMs: number,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > withinMs) assert.fail(`not within ${withinMs} ms: ${what}`);
    await delay(50);
  }
}
