/**
 * A whole site of real servers: a live Dovecot and a standby, a directory that says where accounts are, a front door, clients under way,
 * and the command as an operator runs it, with or without a service.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Slapd, startSlapd } from '../../src/demo/directory/index.ts';
import { freshLoopbackAddress } from '../../src/demo/dovecot/index.ts';
import { ClientLoad, checkLedger, type LedgerReport } from '../lab/client-load.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { connectImap } from '../lab/imap-check.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { type Ended, type Running, run, start } from '../mail/understudy.ts';

export const PAIR = 'mail';
export const LIVE = 'mail-a';
export const STANDBY = 'mail-b';

export const siteMissing =
  requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'slapd', 'ldap-utils']) ?? false;

const UP_WITHIN_MS = 20_000;
const IMAP = 143;
const LMTP = 24;

export interface SiteOptions {
  readonly accounts?: number;
  readonly messages?: number;
  readonly warm?: boolean;
}

export class Site {
  readonly live: Dovecot;
  readonly standby: Dovecot;
  readonly directory: Slapd;
  readonly configFile: string;
  readonly dataDir: string;
  readonly door: string;
  readonly #endings: (() => unknown)[] = [];

  /** Filled with a few messages per account. */
  static async start(t: TestContext, options: SiteOptions = {}): Promise<Site> {
    const { path: folder, remove } = temporaryDirectory('take-over');
    // The last made is ended first: a front door is told to end by what lies in the folder.
    const endings = [async () => remove()];
    t.after(async () => {
      for (const end of endings.reverse()) await end();
    });
    const listen = await addressFor([7700]);
    const servers = await Promise.all(
      [LIVE, STANDBY].map((name) =>
        startDovecot({
          accounts: options.accounts ?? 3,
          format: 'sdbox',
          push: { url: `http://${listen}:7700/push/${name}`, timeoutMs: 3_500 },
        }),
      ),
    );
    for (const server of servers) endings.push(() => server.stop());
    const [live, standby] = servers as [Dovecot, Dovecot];
    const directory = await startSlapd({
      folder: join(folder, 'slapd'),
      accounts: live.accounts,
      mailHost: live.address,
    });
    endings.push(() => directory.stop());
    const site = new Site(folder, { live, standby, directory, door: await addressFor([IMAP, LMTP]) });
    writeFileSync(site.configFile, configuration(site, listen, options));
    endings.push(() => site.#end());
    await site.#fill(options.messages ?? 6);
    return site;
  }

  private constructor(folder: string, parts: Pick<Site, 'live' | 'standby' | 'directory' | 'door'>) {
    this.live = parts.live;
    this.standby = parts.standby;
    this.directory = parts.directory;
    this.door = parts.door;
    this.dataDir = join(folder, 'data');
    this.configFile = join(folder, 'understudy.yaml');
  }

  after(work: () => unknown): void {
    this.#endings.push(work);
  }

  async #end(): Promise<void> {
    for (const work of this.#endings.splice(0).reverse()) await work();
    const { status, stderr } = await this.understudy('proxy', PAIR, '--stop');
    assert.equal(status, 0, stderr);
  }

  async #fill(messages: number): Promise<void> {
    for (const account of this.live.accounts) {
      const client = await connectImap(this.login(this.live, account));
      await client.mailboxCreate('Archive');
      for (let index = 1; index <= messages; index += 1) {
        const flags = index % 2 === 0 ? ['\\Seen'] : [];
        await client.append('INBOX', `Subject: ${account} ${index}\r\n\r\nbody ${index}\r\n`, flags);
      }
      await client.logout();
    }
  }

  understudy(...args: string[]): Promise<Ended> {
    return run(this.configFile, args);
  }

  /** The one JSON document that a command prints. */
  async json(...args: string[]) {
    const { stdout, stderr } = await this.understudy(...args, '--json');
    assert.match(stdout, /^\{/, stderr);
    return JSON.parse(stdout);
  }

  /** `understudy run`; resolves when it answers. */
  async service(options: { crashAt?: string } = {}): Promise<Running> {
    const service = start(this.configFile, ['run'], options);
    this.after(() => service.kill9());
    const ended = service.ended.then(({ stderr }) => assert.fail(`the service ended: ${stderr}`));
    ended.catch(() => {
      // Seen by the race below while it lasts; afterwards a test ends the service itself.
    });
    const up = (async () => {
      const deadline = performance.now() + UP_WITHIN_MS;
      // The note of one that was killed is still there.
      while (!noteOf(this.dataDir).includes(`"pid":${service.child.pid},`)) {
        assert.ok(performance.now() < deadline, 'the service answers in time');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    await Promise.race([up, ended]);
    return service;
  }

  /** Everything is on the standby, as the service says. */
  async warm(withinMs = 30_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const { pairs } = await this.json('status');
      const warm = pairs[0]?.warm;
      if (warm?.phase === 'following' && warm.accountsBehind === 0 && warm.lsn > 0) return;
      assert.ok(performance.now() < deadline, `warm in time: ${JSON.stringify(pairs)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Clients that know the front door only. */
  async clients(seed: string): Promise<ClientLoad> {
    const load = await ClientLoad.start({
      imap: { host: this.door, port: IMAP },
      lmtp: { host: this.door, port: LMTP },
      accounts: this.live.accounts,
      passwordOf: this.live.accountPassword,
      clients: this.live.accounts.length,
      seed,
    });
    this.after(() => load.stop({ drainMs: 0 }));
    return load;
  }

  /** Nothing that the clients were promised is missing on the server, nothing is doubled, no client was surprised. */
  async assertKept(load: ClientLoad, server: Dovecot): Promise<LedgerReport> {
    await load.stop();
    const report = await checkLedger(load, { host: server.address, port: server.imapPort });
    assert.ok(report.acknowledged > 0, 'mail was delivered');
    const { lost, doubled, flagsLost, filingsLost } = report;
    assert.deepEqual({ lost, doubled, flagsLost, filingsLost, surprises: load.surprises }, NOTHING);
    return report;
  }

  /** `mailHost` of every account. */
  mailHosts(): string[] {
    const { url, bindDn, bindSecret, baseDn } = this.directory;
    const args = ['-LLL', '-x', '-o', 'ldif-wrap=no', '-H', url, '-D', bindDn, '-w', bindSecret];
    const text = execFileSync('ldapsearch', [...args, '-b', baseDn, '(uid=*)', 'mailHost'], {
      encoding: 'utf8',
    });
    return [...text.matchAll(/^mailHost: (.*)$/gm)].map(([, host]) => host as string);
  }

  login(server: Dovecot, account: string) {
    return {
      host: server.address,
      port: server.imapPort,
      user: server.masterLogin(account),
      pass: server.masterSecret,
    };
  }
}

function noteOf(dataDir: string): string {
  const file = join(dataDir, 'service.json');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

const NOTHING = { lost: [], doubled: [], flagsLost: [], filingsLost: [], surprises: [] };

async function addressFor(ports: readonly number[]): Promise<string> {
  const address = await freshLoopbackAddress(ports);
  assert.ok(address !== undefined, `something here holds one of the ports ${ports.join(', ')}`);
  return address;
}

function configuration(site: Site, listen: string, { warm = true }: SiteOptions): string {
  const server = (name: string, dovecot: Dovecot) => [
    `  ${name}:`,
    '    workload: mail',
    `    host: ${dovecot.address}`,
    `    imap: { port: ${dovecot.imapPort}, security: none, masterUser: ${dovecot.masterUser}, masterSecret: ${dovecot.masterSecret} }`,
    `    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: ${dovecot.doveadmKey} }`,
    `    services: { lmtp: ${dovecot.lmtpPort} }`,
    '    push: { mode: synchronous, timeout: 3s }',
    '    shadow: { sweep: 2s, watch: 0 }',
  ];
  const { directory } = site;
  return [
    `dataDir: ${site.dataDir}`,
    `api: { listen: "${listen}:7700" }`,
    'servers:',
    ...server(LIVE, site.live),
    '    accounts: { from: directory }',
    ...server(STANDBY, site.standby),
    'directories:',
    `  people: { kind: ldap, url: "${directory.url}", bindDn: "${directory.bindDn}", bindSecret: ${directory.bindSecret}, baseDn: "${directory.baseDn}" }`,
    'pairs:',
    `  ${PAIR}:`,
    `    live: ${LIVE}`,
    `    standby: ${STANDBY}`,
    '    directory: people',
    `    warm: ${warm}`,
    '    rehome:',
    `      - { kind: proxy, listen: "${site.door}:${IMAP}", to: imap }`,
    `      - { kind: proxy, listen: "${site.door}:${LMTP}", to: lmtp }`,
    '',
  ].join('\n');
}
