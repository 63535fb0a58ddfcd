/**
 * What the tests of faults and of the running service share: a lab whose network or disk can be made ill, messages
 * that can be told apart, and what the replica holds of them.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Catalog, type Vault, VaultReader } from '../../src/catalog/index.ts';
import { loadConfig, serverNamed } from '../../src/config/index.ts';
import { systemClock } from '../../src/lib/index.ts';
import {
  type MailDeps,
  type ShadowSummary,
  shadowOnce,
  type VerifyReport,
  verifyMail,
} from '../../src/workloads/mail/index.ts';
import { type Finished, understudy } from '../cli/service.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { type Fault, type FaultyProxy, type Rewrite, startFaultyProxy } from '../lab/faulty-proxy.ts';
import { MailLab, type MailLabOptions, SERVER } from './support.ts';

/** A script of the proxy that the test changes while it runs. */
export interface Script {
  faults: Fault[];
  rewrites: Rewrite[];
}

export interface LabBehindProxy {
  readonly lab: MailLab;
  readonly proxy: FaultyProxy;
  readonly script: Script;
}

/** A lab that reaches its server through a proxy that has no faults yet. */
export async function labBehindProxy(
  t: TestContext,
  options: MailLabOptions & { timeout?: string } = {},
): Promise<LabBehindProxy> {
  const dovecot = await startDovecot({ fsync: 'never', ...options });
  t.after(() => dovecot.stop());
  const script: Script = { faults: [], rewrites: [] };
  const proxy = await startFaultyProxy({ host: dovecot.address, port: dovecot.imapPort }, script);
  t.after(() => proxy.close());
  const lab = new MailLab(t, dovecot, { ...options, through: proxy });
  if (options.timeout !== undefined) editConfig(lab, 'imap: {', `imap: { timeout: ${options.timeout},`);
  return { lab, proxy, script };
}

/** Changes the configuration file; what is read from it after that sees the change. */
export function editConfig(lab: MailLab, from: string, to: string): void {
  const text = readFileSync(lab.configFile, 'utf8');
  assert.ok(text.includes(from), `the configuration has no ${from}`);
  writeFileSync(lab.configFile, text.replace(from, to));
}

/** As the configuration file is now. */
export async function depsNow(lab: MailLab): Promise<MailDeps> {
  return { ...(await lab.deps()), config: serverNamed(loadConfig(lab.configFile), SERVER) };
}

/** One pass, problems allowed. */
export async function passOver(lab: MailLab): Promise<ShadowSummary> {
  return shadowOnce(await depsNow(lab));
}

/** Fails unless the product's own comparison and the independent client agree that the replica is the server. */
export async function assertVerified(lab: MailLab): Promise<VerifyReport> {
  const report = await verifyMail(await depsNow(lab), { bodies: 'all' });
  assert.deepEqual([report.equal, report.differences, report.problems], [true, [], []]);
  await lab.assertReplicaIsServer();
  return report;
}

/** A command in the lab's folder, which must hold no open vault meanwhile. */
export async function command(lab: MailLab, ...args: string[]): Promise<Finished & { tookMs: number }> {
  const began = performance.now();
  const finished = await understudy(dirname(lab.configFile), ...args);
  return { ...finished, tookMs: performance.now() - began };
}

/** The one JSON document that a command printed. */
export function document(finished: Finished) {
  assert.equal(finished.stdout.trimEnd().split('\n').length, 1, finished.stdout);
  return JSON.parse(finished.stdout);
}

/** Nothing of one account is written until `release`, as if its mail were slow. */
export function holdCommitsOf(vault: Vault, account: string): { release: () => void } {
  const gate = Promise.withResolvers<void>();
  const commit = vault.commit.bind(vault);
  vault.commit = async (records) => {
    if (records.some((record) => 'account' in record && record.account === account)) await gate.promise;
    return commit(records);
  };
  return { release: gate.resolve };
}

/** A small message that is found again by its id. */
export function numberedMessage(id: string, fill = 0): Buffer {
  return Buffer.from(
    `From: a@example.org\r\nTo: b@example.org\r\nSubject: ${id}\r\nMessage-ID: <${id}@understudy.example>\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(Math.ceil(fill / 72))}${id}\r\n`,
  );
}

/** Ids (of `numberedMessage`) that the catalog holds in the mailbox. */
export function idsIn(catalog: Catalog, account: string, mailbox = 'INBOX'): string[] {
  const row = catalog.mailboxByName(account, mailbox);
  if (row === undefined) return [];
  return catalog.summaries(row.id).map(({ messageId }) => /<(.*)@/.exec(messageId ?? '')?.[1] ?? '');
}

/** What another process reads of the vault now. */
export async function reading<T>(
  vaultDir: string,
  read: (reader: VaultReader) => T | Promise<T>,
): Promise<T> {
  const reader = await VaultReader.open({ dir: vaultDir, clock: systemClock });
  try {
    return await read(reader);
  } finally {
    await reader.close();
  }
}

/** Waits until `holds` gives something; fails with `what` after `withinMs`. */
export async function until<T>(
  what: string,
  withinMs: number,
  holds: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const began = performance.now();
  for (;;) {
    const result = await holds();
    if (result !== undefined && result !== false) return result;
    if (performance.now() - began > withinMs) assert.fail(`not within ${withinMs} ms: ${what}`);
    await delay(50);
  }
}

export function accountsOf(dovecot: Dovecot): readonly [string, ...string[]] {
  return dovecot.accounts as readonly [string, ...string[]];
}
