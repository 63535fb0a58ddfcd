/** A live Dovecot that is shadowed, and a second one that is to hold the same. An independent client reads both. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { VaultReader } from '../../src/catalog/index.ts';
import { type MailServerConfig, serverNamed } from '../../src/config/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { DoveadmClient } from '../../src/workloads/mail/doveadm/index.ts';
import type { ActionOptions } from '../../src/workloads/mail/index.ts';
import {
  type BringUpReport,
  type BringUpRequest,
  bringUp,
  type StandbyDeps,
} from '../../src/workloads/mail/standby/index.ts';
import { type Dovecot, type DovecotRelease, startDovecot } from '../lab/dovecot.ts';
import {
  type AccountDump,
  type CompareOptions,
  compareDumps,
  connectImap,
  dumpAccount,
} from '../lab/imap-check.ts';
import { MailLab, type MailLabOptions } from './support.ts';

export const STANDBY = 'mail-b';

export interface StandbyWorldOptions extends MailLabOptions {
  readonly standbyFormat?: MailLabOptions['format'];
  /** False: the standby is a plain IMAP server to us. */
  readonly standbyDoveadm?: boolean;
  /** Default: the installed one. */
  readonly standbyRelease?: DovecotRelease;
  /** Of the standby's own, after the live server's. */
  readonly standbyConfig?: string;
}

export class StandbyWorld {
  readonly lab: MailLab;
  readonly standby: Dovecot;
  readonly config: MailServerConfig;
  #live: DoveadmClient | undefined;

  static async start(t: TestContext, options: StandbyWorldOptions): Promise<StandbyWorld> {
    const {
      standbyFormat = options.format,
      standbyDoveadm = true,
      standbyRelease,
      standbyConfig = '',
      ...live
    } = options;
    const standby = await startDovecot({
      fsync: 'never',
      ...(live.accounts === undefined ? {} : { accounts: live.accounts }),
      ...(standbyFormat === undefined ? {} : { format: standbyFormat }),
      extraConfig: `${live.extraConfig ?? ''}\n${standbyConfig}`,
      ...(live.autoMailboxes === undefined ? {} : { autoMailboxes: live.autoMailboxes }),
      ...(standbyRelease === undefined ? {} : { release: standbyRelease }),
    });
    t.after(() => standby.stop());
    const lab = await MailLab.start(t, { doveadm: true, ...live });
    return new StandbyWorld(lab, standby, standbyDoveadm);
  }

  private constructor(lab: MailLab, standby: Dovecot, doveadm: boolean) {
    this.lab = lab;
    this.standby = standby;
    const { doveadm: api, ...live } = serverNamed(lab.config, 'mail-a');
    this.config = {
      ...live,
      host: standby.address,
      imap: { ...live.imap, port: standby.imapPort },
      ...(doveadm && api ? { doveadm: { ...api, url: standby.doveadmUrl } } : {}),
    } as MailServerConfig;
  }

  /** Runs `work` with what the door of the standby takes; the vault is closed before. */
  async withDeps<T>(work: (deps: StandbyDeps) => Promise<T>): Promise<T> {
    await this.lab.closeVault();
    const reader = await VaultReader.open({ dir: this.lab.vaultDir, clock: systemClock });
    try {
      return await work({
        source: 'mail-a',
        reader,
        target: STANDBY,
        config: this.config,
        clock: systemClock,
        log: silentLog,
      });
    } finally {
      await reader.close();
    }
  }

  bringUp(request: BringUpRequest = {}, options: ActionOptions = {}): Promise<BringUpReport> {
    return this.withDeps((deps) => bringUp(deps, request, options));
  }

  /** One that must meet no problem. */
  async bringUpWell(request: BringUpRequest = {}): Promise<BringUpReport> {
    const report = await this.bringUp(request);
    assert.deepEqual(report.problems, []);
    return report;
  }

  /** A configuration for the command that names the standby too; its path. `more`: lines of the standby, and of the top level. */
  writeConfig(more: { readonly standby?: string; readonly top?: string } = {}): string {
    const { standby, lab } = this;
    const file = `${lab.configFile}.both.yaml`;
    const entry = [
      'servers:',
      `  ${STANDBY}:`,
      '    workload: mail',
      `    host: ${standby.address}`,
      `    imap: { port: ${standby.imapPort}, security: none, masterUser: ${standby.masterUser}, masterSecret: ${standby.masterSecret} }`,
      `    doveadm: { url: "${standby.doveadmUrl}", apiKey: ${standby.doveadmKey} }`,
      ...(more.standby === undefined ? [] : [`    ${more.standby}`]),
      '',
    ].join('\n');
    const own = readFileSync(lab.configFile, 'utf8').replace('servers:\n', entry);
    writeFileSync(file, `${own}${more.top ?? ''}\n`);
    return file;
  }

  /** The live server gives this UID next. */
  async pinLive(user: string, mailbox: string, minNextUid: number): Promise<void> {
    const { doveadmUrl, doveadmKey } = this.lab.dovecot;
    this.#live ??= new DoveadmClient({ url: doveadmUrl, apiKey: doveadmKey });
    await this.#live.pinMailboxes([{ user, mailbox, minNextUid }]);
  }

  /** Messages of this subject in all mailboxes of the account. */
  async countOnStandby(account: string, subject: string): Promise<number> {
    const found = this.standby.doveadm('fetch', '-u', account, 'hdr.subject', 'header', 'subject', subject);
    return found.split('\n').filter((line) => line.includes(subject)).length;
  }

  standbyLogin(account: string) {
    const { address, imapPort, masterSecret } = this.standby;
    return { host: address, port: imapPort, user: this.standby.masterLogin(account), pass: masterSecret };
  }

  /** Logs in to the standby as `account`, as a client of it. */
  async onStandby<T>(
    account: string,
    work: (client: Awaited<ReturnType<typeof connectImap>>) => Promise<T>,
  ): Promise<T> {
    const client = await connectImap(this.standbyLogin(account));
    try {
      return await work(client);
    } finally {
      await client.logout();
    }
  }

  standbyState(account: string): Promise<AccountDump> {
    return selectableOf(dumpAccount(this.standbyLogin(account)));
  }

  /** Every difference of the standby against the live server. Mailboxes that hold what only the standby had do not count. */
  async differences(options: CompareOptions = {}): Promise<string[]> {
    const found: string[] = [];
    for (const account of this.lab.dovecot.accounts) {
      const live = await selectableOf(dumpAccount(this.lab.login(account)));
      const standby = new Map(
        [...(await this.standbyState(account))].filter(([name]) => !name.endsWith('-only-on-standby')),
      );
      found.push(...compareDumps(live, standby, options).map((line) => `${account}: ${line}`));
    }
    return found;
  }

  async assertSame(options: CompareOptions = {}): Promise<void> {
    const found = await this.differences(options);
    assert.equal(found.length, 0, found.slice(0, 20).join('\n'));
  }
}

async function selectableOf(dump: Promise<AccountDump>): Promise<AccountDump> {
  return new Map([...(await dump)].filter(([, { selectable }]) => selectable));
}
