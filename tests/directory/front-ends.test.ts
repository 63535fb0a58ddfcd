/**
 * Goal: front ends that ask the directory follow a rebinding: a Dovecot proxy sends new logins to the standby, and mail that Postfix
 * queued while the old server was down, or the account unbound, arrives there.
 */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Directory, ldapDirectory } from '../../src/directory/index.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { requirePackages } from '../lab/packages.ts';
import { type ImapProxy, type Mta, startImapProxy, startMta } from './front-ends.ts';
import { type Slapd, startSlapd } from './slapd.ts';

const missing = requirePackages([
  'dovecot-core',
  'dovecot-imapd',
  'dovecot-ldap',
  'dovecot-lmtpd',
  'slapd',
  'ldap-utils',
  'openssl',
]);
const missingMta =
  missing ??
  requirePackages(['postfix', 'postfix-ldap']) ??
  (process.getuid?.() === 0 ? undefined : 'Postfix is started by root');
const skip = (reason: string | undefined) => (reason === undefined ? {} : { skip: reason });

const ANNA = 'anna@example.org';
const BERT = 'bert@example.org';
let live: Dovecot;
let standby: Dovecot;
let slapd: Slapd;
let directory: Directory;
let proxy: ImapProxy;
let mta: Mta | undefined;

before(async () => {
  if (missing !== undefined) return;
  const accounts = [ANNA, BERT];
  [live, standby] = await Promise.all([startDovecot({ accounts }), startDovecot({ accounts })]);
  for (const account of accounts) {
    live.doveadm('mailbox', 'create', '-u', account, 'on-live');
    standby.doveadm('mailbox', 'create', '-u', account, 'on-standby');
  }
  assert.equal(live.imapPort, standby.imapPort, 'each server has an address of its own');
  slapd = await startSlapd({
    accounts,
    mailHost: live.address,
    perAccount: (account) => `userPassword: ${live.accountPassword(account)}\n`,
  });
  directory = ldapDirectory(slapd.options);
  proxy = await startImapProxy(slapd, live.imapPort);
  if (missingMta === undefined) mta = await startMta(slapd, live.lmtpPort);
});
after(async () => {
  await mta?.stop();
  await proxy?.stop();
  await slapd?.stop();
  await Promise.all([live?.stop(), standby?.stop()]);
});

async function rebindTo(to: readonly string[], accounts: readonly string[]): Promise<void> {
  const bindings = await directory.bindings(accounts);
  const outcomes = await directory.rebind(
    bindings.map((binding) => ({ ...binding, from: binding.values, to })),
  );
  assert.ok(
    outcomes.length > 0 && outcomes.every(({ result }) => result === 'changed'),
    JSON.stringify(outcomes),
  );
}

const mailboxes = (account: string) => proxy.mailboxes(account, live.accountPassword(account));

test(
  'a Dovecot proxy sends each user where the directory says, and nowhere while it says nothing',
  skip(missing),
  async () => {
    assert.ok((await mailboxes(ANNA))?.includes('on-live'), proxy.log());
    await rebindTo([], [ANNA]);
    assert.equal(await mailboxes(ANNA), undefined);
    assert.ok((await mailboxes(BERT))?.includes('on-live'));
    await rebindTo([standby.address], [ANNA]);
    assert.ok((await mailboxes(ANNA))?.includes('on-standby'), proxy.log());
    assert.ok((await mailboxes(BERT))?.includes('on-live'));
    await rebindTo([live.address], [ANNA]);
    assert.ok((await mailboxes(ANNA))?.includes('on-live'));
  },
);

test(
  'mail that Postfix queued during the outage arrives at the standby, once',
  skip(missingMta),
  async () => {
    assert.ok(mta);
    await mta.send(ANNA, 'before');
    await until('the first message is delivered', () => subjects(live, ANNA).includes('before'));
    await live.kill9();
    await mta.send(ANNA, 'server-down');
    await mta.send(BERT, 'server-down');
    await rebindTo([], [ANNA, BERT]);
    await until('both ways to be without a server were met', () => {
      const log = mta?.log() ?? '';
      return /relay=.*status=deferred \(connect to/.test(log) && /status=deferred .*no server/.test(log);
    });
    assert.equal(mta.queued(), 2);
    // Whoever sends to an account without a server is asked to try again, or relieved of the message: never refused for good.
    const sent = await mta.send(ANNA, 'unbound').then(
      () => true,
      (error: Error) => {
        assert.match(error.message, /^SMTP: 450 .*no server has this account now/);
        return false;
      },
    );
    await rebindTo([standby.address], [ANNA, BERT]);
    if (!sent) await mta.send(ANNA, 'unbound');
    await until('the queue is empty', () => mta?.queued() === 0);
    assert.deepEqual(subjects(standby, ANNA), ['server-down', 'unbound']);
    assert.deepEqual(subjects(standby, BERT), ['server-down']);
    assert.doesNotMatch(mta.log(), /status=bounced/);
  },
);

function subjects(dovecot: Dovecot, account: string): string[] {
  const text = dovecot.doveadm('-f', 'flow', 'fetch', '-u', account, 'hdr.subject', 'mailbox', 'INBOX');
  return [...text.matchAll(/hdr\.subject=(\S+)/g)].map(([, subject = '']) => subject).sort();
}

async function until(what: string, happened: () => boolean): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (happened()) return;
    await delay(100);
  }
  assert.fail(`not within 30 s: ${what}\n${mta?.log()}`);
}
