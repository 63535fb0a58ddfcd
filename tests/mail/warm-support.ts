/**
 * Two real Dovecots, the live one followed in this process, the other one kept warm behind its journal; and an independent
 * client that reads both.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Vault, VaultReader } from '../../src/catalog/index.ts';
import { type Config, loadConfig, serverNamed } from '../../src/config/index.ts';
import type { Lsn } from '../../src/journal/index.ts';
import { type Log, silentLog, systemClock } from '../../src/lib/index.ts';
import {
  type MailDeps,
  restoreMail,
  type ShadowEngine,
  startShadow,
} from '../../src/workloads/mail/index.ts';
import { bringUp } from '../../src/workloads/mail/standby/index.ts';
import { startWarm, type WarmDeps, type WarmEngine } from '../../src/workloads/mail/warm/index.ts';
import { type Dovecot, type DovecotOptions, type DovecotRelease, startDovecot } from '../lab/dovecot.ts';
import { compareDumps, dumpAccount } from '../lab/imap-check.ts';
import { temporaryDirectory } from '../lab/temp.ts';

export const PAIR = 'site';
export const LIVE = 'mail-a';
export const STANDBY = 'mail-b';

export interface WarmLabOptions extends DovecotOptions {
  readonly log?: Log;
  /** `share` is 0.3 then. */
  readonly burstLeast?: number;
  /** The configuration lets a service take a free port. */
  readonly listen?: boolean;
  readonly standbyFormat?: DovecotOptions['format'];
  readonly standbyExtraConfig?: string;
  /** Further lines of the standby, not indented. */
  readonly standbyLines?: readonly string[];
  /** Default: that of the live server. */
  readonly standbyRelease?: DovecotRelease;
}

export class WarmLab {
  readonly live: Dovecot;
  readonly standby: Dovecot;
  readonly config: Config;
  readonly configFile: string;
  readonly dataDir: string;
  readonly #log: Log;
  readonly #endings: (() => unknown)[] = [];
  #vault: Vault | undefined;
  #shadow: ShadowEngine | undefined;
  #reader: VaultReader | undefined;
  #warm: WarmEngine | undefined;

  static async start(t: TestContext, options: WarmLabOptions = {}): Promise<WarmLab> {
    const common = { fsync: 'never', ...options } as const;
    const format = options.standbyFormat ?? options.format;
    const release = options.standbyRelease ?? options.release;
    const extraConfig = options.standbyExtraConfig ?? options.extraConfig;
    const [live, standby] = await Promise.all([
      startDovecot(common),
      startDovecot({
        ...common,
        ...(format === undefined ? {} : { format }),
        ...(release === undefined ? {} : { release }),
        ...(extraConfig === undefined ? {} : { extraConfig }),
      }),
    ]);
    try {
      return new WarmLab(t, live, standby, options);
    } finally {
      // After what the lab itself has to end.
      t.after(() => Promise.all([live.stop(), standby.stop()]));
    }
  }

  private constructor(t: TestContext, live: Dovecot, standby: Dovecot, options: WarmLabOptions) {
    this.#log = options.log ?? silentLog;
    this.live = live;
    this.standby = standby;
    const folder = temporaryDirectory('warm', t).path;
    this.dataDir = join(folder, 'data');
    this.configFile = join(folder, 'understudy.yaml');
    writeFileSync(this.configFile, configuration(this, options));
    this.config = loadConfig(this.configFile);
    t.after(() => this.#end());
  }

  /** Does `work` when the test ends, before anything here is stopped; the last one first. */
  after(work: () => unknown): void {
    this.#endings.push(work);
  }

  async #end(): Promise<void> {
    for (const work of this.#endings.splice(0).reverse()) await work();
    await this.stopWarm();
    await this.#shadow?.stop();
    await this.#vault?.close();
  }

  /** The live server is followed from now on. */
  async shadow(): Promise<ShadowEngine> {
    if (this.#shadow) return this.#shadow;
    this.#vault = await Vault.open({ dir: join(this.dataDir, LIVE), clock: systemClock, log: this.#log });
    this.#shadow = startShadow(this.#mailDeps());
    await this.pass();
    return this.#shadow;
  }

  #mailDeps(): MailDeps {
    return {
      server: LIVE,
      config: serverNamed(this.config, LIVE),
      vault: this.#vault as Vault,
      clock: systemClock,
      log: this.#log,
    };
  }

  /** Brings back to the live server what the account lost. */
  async restore(account: string): Promise<void> {
    const lost = (this.#vault as Vault).catalog.checkpoints().findLast(({ cause }) => cause === 'burst');
    const request = { account, dryRun: false, ...(lost === undefined ? {} : { at: lost.lsn }) };
    const report = await restoreMail(this.#mailDeps(), request, {});
    assert.deepEqual(report.problems, []);
  }

  /** What the live server holds now is in the journal; the LSN. */
  async pass(): Promise<Lsn> {
    const shadow = await this.shadow();
    // One under way may have begun before the last change.
    for (let pass = 0; pass < 2; pass += 1) assert.deepEqual((await shadow.pass({})).problems, []);
    return (this.#vault as Vault).committedLsn;
  }

  async warmDeps(): Promise<WarmDeps> {
    this.#reader ??= await VaultReader.open({
      dir: join(this.dataDir, LIVE),
      clock: systemClock,
      log: this.#log,
    });
    return {
      pair: PAIR,
      source: LIVE,
      reader: this.#reader,
      target: STANDBY,
      config: serverNamed(this.config, STANDBY),
      clock: systemClock,
      log: this.#log,
      memoryFile: join(this.dataDir, LIVE, `warm-${PAIR}.sqlite`),
      burst: serverNamed(this.config, LIVE).shadow.burst,
      bringUp,
    };
  }

  /** The live server is followed, and the standby kept warm. */
  async warm(): Promise<WarmEngine> {
    await this.shadow();
    this.#warm ??= startWarm(await this.warmDeps());
    return this.#warm;
  }

  async stopWarm(): Promise<void> {
    await this.#warm?.stop();
    this.#warm = undefined;
    await this.#reader?.close();
    this.#reader = undefined;
  }

  /** What was remembered of the standby is lost, while it is not kept warm. */
  async forget(): Promise<void> {
    const { memoryFile } = await this.warmDeps();
    for (const suffix of ['', '-wal', '-shm']) rmSync(memoryFile + suffix, { force: true });
  }

  /** Everything that the live server holds now is on the standby; fails when that takes long. */
  async caughtUp(withinMs = 30_000): Promise<void> {
    const lsn = await this.pass();
    const warm = await this.warm();
    try {
      const signal = AbortSignal.timeout(withinMs);
      await warm.caughtUp(lsn, signal);
      // It passes over accounts that wait for something, which a test does not.
      while ([...warm.status().problems, ...warm.status().incomplete].length > 0) {
        await delay(20, undefined, { signal });
      }
    } catch (error) {
      assert.fail(
        `not caught up with lsn:${lsn} (${String(error)}): ${JSON.stringify(warm.status(), null, 1)}`,
      );
    }
  }

  /** Fails, naming every difference, unless an independent client finds the same on both. */
  async assertEqual(message: string, accounts: readonly string[] = this.live.accounts): Promise<void> {
    const differences: string[] = [];
    for (const account of accounts) {
      const [expected, found] = await Promise.all(
        [this.live, this.standby].map((dovecot) => dumpAccount(loginOf(dovecot, account))),
      );
      const selectable = (dump: typeof expected) =>
        new Map([...(dump ?? new Map())].filter(([, mailbox]) => mailbox.selectable));
      for (const line of compareDumps(selectable(expected), selectable(found)))
        differences.push(`${account}: ${line}`);
    }
    assert.equal(differences.length, 0, `${message}:\n${differences.slice(0, 20).join('\n')}`);
  }
}

export function loginOf(dovecot: Dovecot, account: string) {
  return {
    host: dovecot.address,
    port: dovecot.imapPort,
    user: dovecot.masterLogin(account),
    pass: dovecot.masterSecret,
  };
}

export async function until(
  what: string,
  done: () => boolean | Promise<boolean>,
  withinMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await done())) {
    assert.ok(performance.now() < deadline, `in time: ${what}`);
    await delay(20);
  }
}

function configuration(
  { live, standby, dataDir }: Pick<WarmLab, 'live' | 'standby' | 'dataDir'>,
  options: WarmLabOptions,
): string {
  const server = (name: string, dovecot: Dovecot) => [
    `  ${name}:`,
    '    workload: mail',
    `    host: ${dovecot.address}`,
    `    imap: { port: ${dovecot.imapPort}, security: none, masterUser: ${dovecot.masterUser}, masterSecret: ${dovecot.masterSecret} }`,
    `    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: ${dovecot.doveadmKey} }`,
  ];
  return [
    `dataDir: ${dataDir}`,
    ...(options.listen === true ? ['api: { listen: "127.0.0.1:0" }'] : []),
    'servers:',
    ...server(LIVE, live),
    `    accounts: { list: ${JSON.stringify(live.accounts)} }`,
    `    shadow: { sweep: 500ms, watch: 0, burst: { least: ${options.burstLeast ?? 50} } }`,
    ...server(STANDBY, standby),
    ...(options.standbyLines ?? []).map((line) => `    ${line}`),
    'pairs:',
    `  ${PAIR}: { live: ${LIVE}, standby: ${STANDBY}, warm: true }`,
    '',
  ].join('\n');
}
