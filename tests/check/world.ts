/** A pair of real mail servers with a directory, and the command `check` as an operator runs it, with whatever is wrong in the configuration. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Slapd, startSlapd } from '../../src/demo/directory/index.ts';
import type { Finding } from '../../src/plans/readiness/index.ts';
import { freePort } from '../lab/address.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { connectImap } from '../lab/imap-check.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { run } from '../mail/understudy.ts';

export const missing =
  requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'slapd', 'ldap-utils']) ?? false;

export const ACCOUNTS = ['alice', 'bob', 'probe'];

/** What one check is told otherwise than it is. */
export interface Wrong {
  readonly standby?: Dovecot;
  readonly standbyLines?: Readonly<Record<string, string>>;
  readonly directory?: Readonly<Record<string, string>> | 'none';
  /** Lines of the pair beside live, standby and directory; default: the front door and the probe account. */
  readonly pair?: readonly string[];
  readonly dataDir?: string;
}

export interface Checked {
  readonly status: number | undefined;
  readonly byId: Readonly<Record<string, Finding>>;
  readonly elapsedMs: number;
}

export class CheckWorld {
  readonly live: Dovecot;
  readonly standby: Dovecot;
  readonly directory: Slapd;
  readonly folder: string;
  /** Free, on the live server's address, where no client takes it for its own end. */
  readonly doorPort: number;
  #configs = 0;

  static async start(folder: string): Promise<CheckWorld> {
    const [live, standby] = await Promise.all([
      startDovecot({ accounts: ACCOUNTS, fsync: 'never' }),
      startDovecot({ accounts: ACCOUNTS, fsync: 'never' }),
    ]);
    const directory = await startSlapd({
      folder: join(folder, 'slapd'),
      accounts: ACCOUNTS,
      mailHost: live.address,
    });
    const world = new CheckWorld(folder, live, standby, directory, await freePort(live.address));
    const client = await connectImap({
      host: live.address,
      port: live.imapPort,
      user: live.masterLogin('alice'),
      pass: live.masterSecret,
    });
    await client.append('INBOX', 'Subject: hello\r\n\r\nhello\r\n');
    await client.logout();
    const { status, stderr } = await run(world.configure(), ['shadow', 'mail-a', '--once']);
    assert.equal(status, 0, stderr);
    return world;
  }

  private constructor(folder: string, live: Dovecot, standby: Dovecot, directory: Slapd, doorPort: number) {
    this.folder = folder;
    this.live = live;
    this.standby = standby;
    this.directory = directory;
    this.doorPort = doorPort;
  }

  get door(): string {
    return `{ kind: proxy, listen: "${this.live.address}:${this.doorPort}", to: imap }`;
  }

  /** Writes a configuration and gives its file. */
  configure(wrong: Wrong = {}): string {
    this.#configs += 1;
    const file = join(this.folder, `understudy-${this.#configs}.yaml`);
    const standby = wrong.standby ?? this.standby;
    const directory = {
      url: this.directory.url,
      bindDn: this.directory.bindDn,
      bindSecret: this.directory.bindSecret,
      baseDn: this.directory.baseDn,
      ...(wrong.directory === 'none' ? {} : wrong.directory),
    };
    const pair = wrong.pair ?? [`rehome: [ ${this.door} ]`, 'probe: { account: probe }'];
    writeFileSync(
      file,
      [
        `dataDir: ${wrong.dataDir ?? join(this.folder, 'data')}`,
        'servers:',
        ...serverLines('mail-a', this.live, {}),
        `    accounts: { list: [ ${ACCOUNTS.join(', ')} ] }`,
        ...serverLines('mail-b', standby, wrong.standbyLines ?? {}),
        'directories:',
        '  corp:',
        '    kind: ldap',
        ...Object.entries(directory).flatMap(([key, value]) =>
          value === '' ? [] : [`    ${key}: "${value}"`],
        ),
        'pairs:',
        '  mail:',
        '    live: mail-a',
        '    standby: mail-b',
        ...(wrong.directory === 'none' ? [] : ['    directory: corp']),
        ...pair.map((line) => `    ${line}`),
        '',
      ].join('\n'),
    );
    return file;
  }

  async check(wrong: Wrong = {}): Promise<Checked> {
    const began = performance.now();
    const { status, stdout, stderr } = await run(this.configure(wrong), ['check', 'mail', '--json']);
    assert.match(stdout, /^\{/, stderr);
    const findings: Finding[] = JSON.parse(stdout).checked[0].findings;
    const ids = findings.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, `an id comes once: ${ids.join(' ')}`);
    for (const { id, state, remedy } of findings)
      assert.equal(remedy === '', state === 'green', `${id}: ${remedy}`);
    return {
      status,
      byId: Object.fromEntries(findings.map((finding) => [finding.id, finding])),
      elapsedMs: performance.now() - began,
    };
  }

  async stop(): Promise<void> {
    await Promise.all([this.live.stop(), this.standby.stop(), this.directory.stop()]);
  }
}

function serverLines(name: string, dovecot: Dovecot, wrong: Readonly<Record<string, string>>): string[] {
  const lines = {
    imap: `{ port: ${dovecot.imapPort}, security: none, masterUser: ${dovecot.masterUser}, masterSecret: ${dovecot.masterSecret} }`,
    doveadm: `{ url: "${dovecot.doveadmUrl}", apiKey: ${dovecot.doveadmKey} }`,
    services: `{ lmtp: ${dovecot.lmtpPort} }`,
    ...wrong,
  };
  return [
    `  ${name}:`,
    '    workload: mail',
    `    host: ${dovecot.address}`,
    ...Object.entries(lines).flatMap(([key, value]) => (value === '' ? [] : [`    ${key}: ${value}`])),
  ];
}

/** Of a folder that goes after the file's tests. */
export function worldFolder(): ReturnType<typeof temporaryDirectory> {
  return temporaryDirectory('check');
}
