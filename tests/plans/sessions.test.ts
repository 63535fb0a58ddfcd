/** Goal: sessions on a server that people are taken off are ended, or it is told why not. Method: real sessions on Dovecot 2.3 and 2.4. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { sessionsOf } from '../../src/api/take-over/sessions.ts';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { systemClock } from '../../src/lib/index.ts';
import { type Dovecot, type DovecotOptions, startDovecot } from '../lab/dovecot.ts';
import { dovecot24, dovecot24Missing } from '../lab/dovecot24.ts';
import { connectImap } from '../lab/imap-check.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { until } from './pair-world.ts';

const releases = [
  {
    name: 'Dovecot 2.3',
    skip: requirePackages(['dovecot-core', 'dovecot-imapd']) ?? false,
    options: () => ({}),
  },
  { name: 'Dovecot 2.4', skip: dovecot24Missing, options: () => ({ release: dovecot24() }) },
];

async function serverAt(t: TestContext, options: DovecotOptions): Promise<Dovecot> {
  const dovecot = await startDovecot({ accounts: 3, ...options });
  t.after(() => dovecot.stop());
  return dovecot;
}

function portOf(t: TestContext, dovecot: Dovecot, key: string | null = dovecot.doveadmKey) {
  const { path, remove } = temporaryDirectory('sessions');
  t.after(remove);
  const file = join(path, 'understudy.yaml');
  const doveadm = key === null ? '' : `\n    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: ${key} }`;
  writeFileSync(
    file,
    `dataDir: ${path}/data
servers:
  a:
    workload: mail
    host: ${dovecot.address}
    imap: { port: ${dovecot.imapPort}, security: none, masterUser: u, masterSecret: s }${doveadm}
`,
  );
  const config: Config = loadConfig(file);
  return sessionsOf(config, systemClock);
}

/** Somebody at work; `isOut` once their session has ended. */
async function atWork(t: TestContext, dovecot: Dovecot, account: string) {
  const client = await connectImap({
    host: dovecot.address,
    port: dovecot.imapPort,
    user: account,
    pass: dovecot.accountPassword(account),
  });
  t.after(() => client.close());
  await client.mailboxOpen('INBOX');
  return { isOut: () => !client.usable, leave: () => client.close() };
}

for (const { name, skip, options } of releases) {
  describe(`sessions on ${name}`, { skip }, () => {
    it('are told, and ended: of some accounts, of all, and where nobody has one', async (t) => {
      const dovecot = await serverAt(t, options());
      const sessions = portOf(t, dovecot);
      const [one = '', two = '', three = ''] = dovecot.accounts;
      assert.deepEqual(await sessions.end('a'), { accounts: [] });
      assert.deepEqual(await sessions.end('a', { accounts: [one, two] }), { accounts: [] });
      const people = new Map<string, Awaited<ReturnType<typeof atWork>>>();
      for (const account of dovecot.accounts) people.set(account, await atWork(t, dovecot, account));
      await until('all are told', 20_000, async () => {
        const now = await sessions.who('a');
        return 'accounts' in now && now.accounts.length === 3;
      });
      assert.deepEqual(await sessions.canEnd('a'), { accounts: [] });
      assert.deepEqual(await sessions.end('a', { accounts: [one, two] }), { accounts: [one, two] });
      await until('two are out', 20_000, () => [one, two].every((account) => people.get(account)?.isOut()));
      assert.equal(people.get(three)?.isOut(), false);
      assert.deepEqual(await sessions.end('a'), { accounts: [three] });
      await until('all are out', 20_000, () => people.get(three)?.isOut() ?? false);
    });

    it('that the key may not end are told as such', async (t) => {
      const dovecot = await serverAt(t, {
        ...options(),
        extraConfig: 'doveadm_allowed_commands = who\n',
      });
      const sessions = portOf(t, dovecot);
      const [account = ''] = dovecot.accounts;
      const person = await atWork(t, dovecot, account);
      for (const answer of [
        await sessions.canEnd('a'),
        await sessions.end('a'),
        await sessions.end('a', { accounts: [account] }),
      ]) {
        assert.match('why' in answer ? answer.why : '', /does not do `kick` \(unAuthorized/);
      }
      assert.equal(person.isOut(), false);
      person.leave();
    });

    it('of a server that does not answer, or refuses the key, or has no API, cannot be ended', async (t) => {
      const dovecot = await serverAt(t, options());
      const wrongKey = await portOf(t, dovecot, 'another-key').end('a');
      assert.match('why' in wrongKey ? wrongKey.why : '', /refuses the key/);
      const noApi = await portOf(t, dovecot, null).end('a');
      assert.match('why' in noApi ? noApi.why : '', /no doveadm API/);
      const sessions = portOf(t, dovecot);
      await dovecot.kill9();
      for (const answer of [await sessions.end('a'), await sessions.who('a')]) {
        assert.match('why' in answer ? answer.why : '', /does not answer/);
      }
      await assert.rejects(sessions.end('a', { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
    });
  });
}
