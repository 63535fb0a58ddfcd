/**
 * Goal: every finding of `check` is green on a pair that is well, and turns red or amber by the fault it is about, and by that alone. Method: two real
 * Dovecots and a real directory, made wrong one thing at a time.
 */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { after, before, type TestContext } from 'node:test';
import { loadConfig } from '../../src/config/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { rehomesOf } from '../../src/rehome/index.ts';
import { type DovecotOptions, startDovecot } from '../lab/dovecot.ts';
import { dovecot24, dovecot24Missing } from '../lab/dovecot24.ts';
import { connectImap } from '../lab/imap-check.ts';
import { run, start } from '../mail/understudy.ts';
import { ACCOUNTS, type Checked, CheckWorld, missing as skip, worldFolder } from './world.ts';

const folder = worldFolder();
let world: CheckWorld;

before(async () => {
  if (skip === false) world = await CheckWorld.start(folder.path);
});

after(async () => {
  await world?.stop();
  folder.remove();
});

/** A standby that is different, for one test. */
async function otherStandby(t: TestContext, options: DovecotOptions) {
  const standby = await startDovecot({ accounts: ACCOUNTS, fsync: 'never', ...options });
  t.after(() => standby.stop());
  return standby;
}

function notGreen({ byId }: Checked): Record<string, string> {
  return Object.fromEntries(
    Object.values(byId).flatMap(({ id, state }) => (state === 'green' ? [] : [[id, state]])),
  );
}

/** What is amber on every pair of this file: nothing follows the live server, and no front door runs. */
const usual = { journal: 'amber', door: 'amber' };

/** Red only by `expected`, beside what is amber always; exit status 3 with a red one, else 0. */
async function assertFinds(wrong: Parameters<CheckWorld['check']>[0], expected: Record<string, string>) {
  const checked = await world.check(wrong);
  const found = notGreen(checked);
  const wanted = { ...usual, ...expected };
  for (const [id, state] of Object.entries(wanted)) if (state === 'absent') delete wanted[id as never];
  assert.deepEqual(found, wanted, JSON.stringify(checked.byId, undefined, 1));
  assert.equal(checked.status, Object.values(wanted).includes('red') ? 3 : 0);
  return checked;
}

test('a pair that is well is green, soon, and nothing is left on its servers', { skip }, async () => {
  const checked = await assertFinds({}, {});
  assert.ok(checked.elapsedMs < 20_000, `${checked.elapsedMs} ms`);
  assert.deepEqual(Object.keys(checked.byId).sort(), [
    'directory.answers',
    'directory.bound',
    'directory.rights',
    'disk',
    'door',
    'fence',
    'journal',
    'live.clock',
    'live.doveadm',
    'live.imap',
    'live.login',
    'live.probe',
    'live.services',
    'pair.capabilities',
    'pair.namespaces',
    'pair.versions',
    'secrets',
    'standby.accounts',
    'standby.clock',
    'standby.contents',
    'standby.doveadm',
    'standby.imap',
    'standby.login',
    'standby.pins',
    'standby.probe',
    'standby.services',
  ]);
  for (const server of [world.live, world.standby]) {
    assert.equal(server.doveadm('mailbox', 'list', '-u', 'probe').trim(), 'INBOX');
  }
  const text = await run(world.configure(), ['check']);
  assert.match(text.stdout, /mail: ready/);
});

test('without a probe account nothing is written, and it says what could not be told', { skip }, async () => {
  await assertFinds(
    { pair: [`rehome: [ ${world.door} ]`] },
    { 'standby.pins': 'amber', 'standby.probe': 'amber' },
  );
});

test('a standby that is down is one red finding, not twenty', { skip }, async (t) => {
  const standby = await otherStandby(t, {});
  await standby.kill9();
  const { byId } = await assertFinds(
    { standby },
    {
      'standby.imap': 'red',
      'standby.doveadm': 'red',
      'standby.services': 'red',
      'standby.contents': 'amber',
    },
  );
  assert.match(byId['standby.imap']?.detail ?? '', /MAIL_UNREACHABLE/);
});

test('a wrong master secret, a wrong key and a secret that is missing are told apart', { skip }, async () => {
  const imap = `{ port: ${world.standby.imapPort}, security: none, masterUser: understudy, masterSecret: wrong }`;
  await assertFinds(
    { standbyLines: { imap } },
    { 'standby.login': 'red', 'standby.pins': 'red', 'standby.probe': 'red' },
  );
  const key = `{ url: "${world.standby.doveadmUrl}", apiKey: wrong }`;
  const { byId } = await assertFinds(
    { standbyLines: { doveadm: key } },
    {
      'standby.doveadm': 'red',
      'standby.pins': 'red',
      'standby.contents': 'amber',
    },
  );
  assert.match(byId['standby.doveadm']?.detail ?? '', /MAIL_DOVEADM_REFUSED/);
  await assertFinds(
    { standbyLines: { doveadm: `{ url: "${world.standby.doveadmUrl}", apiKey: "\${env:NOT_SET_HERE}" }` } },
    { journal: 'absent', door: 'absent', secrets: 'red' },
  );
});

test('a server without the doveadm API keeps no UIDs: amber, for it can be taken over to', {
  skip,
}, async () => {
  await assertFinds(
    { standbyLines: { doveadm: '' } },
    {
      'standby.doveadm': 'amber',
      'standby.pins': 'amber',
      'standby.contents': 'amber',
    },
  );
});

test('UIDs are really pinned: the doveadm API of another server does not do', { skip }, async () => {
  const doveadm = `{ url: "${world.live.doveadmUrl}", apiKey: ${world.live.doveadmKey} }`;
  const { byId } = await assertFinds({ standbyLines: { doveadm } }, { 'standby.pins': 'red' });
  assert.match(byId['standby.pins']?.detail ?? '', /MAIL_DOVEADM_FAILED/);
});

test('an account that the standby does not have is named', { skip }, async (t) => {
  const standby = await otherStandby(t, { accounts: ['alice', 'probe'] });
  const { byId } = await assertFinds({ standby }, { 'standby.accounts': 'red', 'standby.login': 'amber' });
  assert.match(byId['standby.accounts']?.detail ?? '', /bob/);
});

test('what clients would notice: another separator, missing extensions', { skip }, async (t) => {
  const separator = await otherStandby(t, { extraConfig: 'namespace inbox {\n  separator = .\n}' });
  await assertFinds({ standby: separator }, { 'pair.namespaces': 'red' });
  const plain = await otherStandby(t, { hideCondstore: true });
  const { byId } = await assertFinds({ standby: plain }, { 'pair.capabilities': 'amber' });
  assert.match(byId['pair.capabilities']?.detail ?? '', /QRESYNC/);
});

test('a standby of another release: that it is fine, and what it needs', {
  skip: skip || dovecot24Missing,
}, async (t) => {
  const standby = await otherStandby(t, { release: dovecot24() });
  const { byId } = await assertFinds({ standby }, {});
  assert.match(byId['pair.versions']?.detail ?? '', /mail-a is Dovecot 2\.3, mail-b is Dovecot 2\.4/);
  const without = { release: dovecot24({ files: false }) };
  const blind = await otherStandby(t, { ...without, format: 'maildir' });
  const found = await assertFinds({ standby: blind }, { 'standby.anew': 'amber' });
  assert.match(found.byId['standby.anew']?.detail ?? '', /fs posix/);
  await assertFinds({ standby: await otherStandby(t, { ...without, format: 'mdbox' }) }, {});
});

test('mail on the standby that is not ours is named', { skip }, async (t) => {
  const standby = await otherStandby(t, {});
  const append = async (mailbox: string) => {
    const client = await connectImap({
      host: standby.address,
      port: standby.imapPort,
      user: standby.masterLogin('alice'),
      pass: standby.masterSecret,
    });
    if (mailbox !== 'INBOX') await client.mailboxCreate(mailbox);
    await client.append(mailbox, 'Subject: foreign\r\n\r\nforeign\r\n');
    await client.logout();
  };
  await append('Elsewhere');
  const { byId } = await assertFinds({ standby }, { 'standby.contents': 'red' });
  assert.match(byId['standby.contents']?.detail ?? '', /alice\/Elsewhere: not in the replica/);

  // Partly ours: with the live server's UIDVALIDITY the inbox agrees.
  const status = world.live.doveadm('mailbox', 'status', '-u', 'alice', 'uidvalidity', 'INBOX');
  const uidValidity = /uidvalidity=(\d+)/.exec(status)?.[1] ?? '';
  standby.doveadm('mailbox', 'update', '-u', 'alice', '--uid-validity', uidValidity, 'INBOX');
  await append('INBOX');
  await assertFinds({ standby }, { 'standby.contents': 'amber' });
});

test('the directory: not there, no rights, nobody bound', { skip }, async () => {
  const { byId } = await assertFinds(
    { directory: { url: 'ldap://127.0.0.1:1' } },
    { 'directory.answers': 'red' },
  );
  assert.match(byId['directory.answers']?.detail ?? '', /DIRECTORY_UNREACHABLE/);
  await assertFinds({ directory: { bindDn: '', bindSecret: '' } }, { 'directory.rights': 'red' });
  await assertFinds(
    { directory: { accountFilter: '(objectClass=nothing)' } },
    { 'directory.bound': 'red', 'directory.rights': 'red' },
  );
  await assertFinds(
    { directory: { accountFilter: '(&(objectClass=inetLocalMailRecipient)(!(uid=bob)))' } },
    {
      'directory.bound': 'amber',
    },
  );
});

test('a front door whose port is taken', {
  skip,
}, async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(world.doorPort, world.live.address, resolve));
  t.after(() => server.close());
  const { byId } = await assertFinds({}, { door: 'red' });
  assert.match(byId['door']?.detail ?? '', /EADDRINUSE/);
});

test('a front door that runs is green, one that a plan has left closed is red', { skip }, async (t) => {
  const file = world.configure();
  const proxy = start(file, ['proxy', 'mail']);
  t.after(() => proxy.terminate());
  const [door] = rehomesOf(loadConfig(file), 'mail', {
    clock: systemClock,
    log: silentLog,
    entry: new URL('../../src/main.ts', import.meta.url),
  });
  assert.ok(door);
  await door.run({ mode: 'open', server: 'mail-a' });
  await assertFinds({}, { door: 'absent' });
  await door.run({ mode: 'closed' });
  const { byId } = await assertFinds({}, { door: 'red' });
  assert.match(byId['door']?.detail ?? '', /closed/);
});

test('programs of the operator: missing, not executable', { skip }, async () => {
  const program = join(folder.path, 'fence.sh');
  writeFileSync(program, '#!/bin/sh\nexit 0\n');
  const pair = (run: string) => [
    `rehome: [ ${world.door} ]`,
    'probe: { account: probe }',
    `fence: [ { kind: command, run: [ ${run} ] } ]`,
  ];
  const { byId } = await assertFinds({ pair: pair(program) }, { hooks: 'red' });
  assert.match(byId['hooks']?.detail ?? '', /not executable/);
  await assertFinds({ pair: pair(join(folder.path, 'absent')) }, { hooks: 'red' });
  await assertFinds({ pair: pair('no-such-program-anywhere') }, { hooks: 'red' });
  chmodSync(program, 0o755);
  await assertFinds({ pair: pair(program) }, {});
  await assertFinds({ pair: pair('"true"') }, {});
});

test('a pair without a fence is red, one with the directory alone amber', { skip }, async () => {
  const pair = ['probe: { account: probe }'];
  await assertFinds({ pair }, { door: 'absent', fence: 'amber' });
  await assertFinds(
    { pair, directory: 'none' },
    { door: 'absent', fence: 'red', 'directory.answers': 'amber' },
  );
});

test('a failover that should start by itself is amber: this version starts none', { skip }, async () => {
  await assertFinds(
    { pair: [`rehome: [ ${world.door} ]`, 'probe: { account: probe }', 'failover: { mode: automatic }'] },
    { mode: 'amber' },
  );
});

test('services behind the front door that do not answer are named', { skip }, async () => {
  const pair = [
    `rehome: [ { kind: proxy, listen: "${world.live.address}:${world.doorPort}", to: pop3 } ]`,
    'probe: { account: probe }',
  ];
  const { byId } = await assertFinds({ pair }, { 'live.services': 'red', 'standby.services': 'red' });
  assert.match(byId['standby.services']?.detail ?? '', /pop3 on port 110/);
});

test('without a replica there is nothing to bring up', { skip }, async () => {
  const { byId } = await assertFinds(
    { dataDir: join(folder.path, 'empty') },
    { journal: 'red', disk: 'amber' },
  );
  assert.match(byId['journal']?.remedy ?? '', /understudy run/);
});
