/**
 * Goal: in synchronous mode what the live server has acknowledged is in the journal, whatever becomes of that server
 * in the next moment; and a near-line side that is ill never keeps mail from flowing. Method: the service as a process,
 * a real Dovecot with the script that the product prints, and the journal's files read after each acknowledgement.
 *
 * `UNDERSTUDY_DOVECOT_KILLS` (3) says how often Dovecot is killed; `UNDERSTUDY_SEED` repeats the moments.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../src/lib/index.ts';
import { type Service, startService, understudy } from '../cli/service.ts';
import { freePort } from '../lab/address.ts';
import { startDovecot } from '../lab/dovecot.ts';
import { type FaultyProxy, startFaultyProxy } from '../lab/faulty-proxy.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { ImapClient } from './imap-client.ts';
import { JournalWatch } from './journal-watch.ts';
import { command, document, numberedMessage, reading, type Script, until } from './service-support.ts';
import { MailLab, SERVER, serversMissing } from './support.ts';

const KILLS = Number(process.env['UNDERSTUDY_DOVECOT_KILLS'] ?? 3);

interface Protected {
  readonly lab: MailLab;
  readonly service: Service;
  readonly proxy: FaultyProxy;
  readonly script: Script;
  /** Value of a sample of /metrics; 0 where it is not there. */
  metric(name: string, labels?: string): Promise<number>;
}

/** Only pushes make the service look here: no sweep by default, nothing watched. */
async function startProtected(
  t: TestContext,
  options: { accounts: number; timeout: string; sweep?: string; proxied?: boolean; format?: 'mdbox' },
): Promise<Protected> {
  const port = await freePort();
  const lines = [`api: { listen: "127.0.0.1:${port}" }`];
  const serverLines = [
    `push: { mode: synchronous, timeout: ${options.timeout} }`,
    `shadow: { watch: 0, sweep: ${options.sweep ?? '1h'}, keepWarm: ${options.proxied ? 0 : 64} }`,
  ];
  const dovecot = await startDovecot({
    accounts: options.accounts,
    fsync: 'never',
    ...(options.format === undefined ? {} : { format: options.format }),
    push: { url: '', script: await printedScript(t, [...lines], serverLines) },
  });
  t.after(() => dovecot.stop());
  const script: Script = { faults: [], rewrites: [] };
  const proxy = await startFaultyProxy({ host: dovecot.address, port: dovecot.imapPort }, script);
  t.after(() => proxy.close());
  const lab = new MailLab(t, dovecot, { lines, serverLines, ...(options.proxied ? { through: proxy } : {}) });
  const service = await startService(dirname(lab.configFile));
  t.after(async () => {
    service.process.kill('SIGKILL');
    await service.ended;
  });
  const metric = async (name: string, labels = '') => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const line = text.split('\n').find((row) => row.startsWith(`${name}{`) && row.includes(labels));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  await until(
    'the first pass is over',
    10_000,
    async () => (await metric('understudy_first_pass_done')) === 1,
  );
  return { lab, service, proxy, script, metric };
}

/** What `init --print-push` prints needs the address of the service only, so it is there before Dovecot is. */
async function printedScript(t: TestContext, lines: string[], serverLines: string[]): Promise<string> {
  const folder = temporaryDirectory('push', t).path;
  writeFileSync(
    join(folder, 'understudy.yaml'),
    [
      'dataDir: data',
      ...lines,
      `servers:\n  ${SERVER}:\n    workload: mail\n    host: 127.0.0.1`,
      '    imap: { masterUser: a, masterSecret: b }\n    accounts: { list: [a] }',
      ...serverLines.map((line) => `    ${line}`),
      '',
    ].join('\n'),
  );
  const { status, stdout, stderr } = await understudy(folder, 'init', '--print-push', SERVER);
  assert.equal(status, 0, stderr);
  return stdout;
}

async function lmtpTo({ lab }: Protected, connections = 1) {
  return connectLmtp({ host: lab.dovecot.address, port: lab.dovecot.lmtpPort, connections });
}

const outcome = (name: string) => `outcome="${name}"`;

describe('synchronous protection', { skip: serversMissing }, () => {
  it('has every delivery, flag change and removal in the journal when it is acknowledged', async (t) => {
    const running = await startProtected(t, { accounts: 2, timeout: '2s' });
    const { lab, metric } = running;
    const [account = ''] = lab.dovecot.accounts;
    const lmtp = await lmtpTo(running);
    await lmtp.deliver(numberedMessage('first'), [account]);
    const watch = await JournalWatch.open(lab.vaultDir);
    t.after(() => watch.close());
    for (let number = 1; number <= 20; number += 1) {
      const id = `one-by-one-${number}`;
      await lmtp.deliver(numberedMessage(id, number * 1_000), lab.dovecot.accounts);
      assert.ok((await watch.look()).messageIds.has(id), id);
    }
    await lmtp.close();

    const client = await ImapClient.open(lab.dovecot, account);
    await client.select('INBOX');
    for (const uid of [3, 4, 5, 6]) {
      assert.ok((await client.store(String(uid), '+FLAGS', ['\\Flagged', `mark${uid}`])).ok);
      const { steps } = await watch.look();
      const last = steps.filter((step) => step.t === 'flags').at(-1);
      assert.deepEqual([last?.uid, last?.flags], [uid, ['\\Flagged', `mark${uid}`]]);
      assert.ok((await client.expunge(String(uid))).ok);
      const gone = (await watch.look()).steps.filter((step) => step.t === 'vanished');
      assert.equal(gone.at(-1)?.uids, String(uid));
    }
    assert.ok((await client.append('INBOX', numberedMessage('appended'))).ok);
    assert.ok((await watch.look()).messageIds.has('appended'));
    await client.close();

    assert.ok((await metric('understudy_push_requests_total', outcome('protected'))) >= 2 * 21);
    assert.equal(await metric('understudy_push_fail_open_total'), 0);
    assert.doesNotMatch(lab.dovecot.log(), /understudy: a change/);
  });

  it('promises nothing that it has not: a message set aside, a mailbox not followed, a tree not shown yet', async (t) => {
    const running = await startProtected(t, { accounts: 1, timeout: '2s', sweep: '1h', proxied: true });
    const { lab, service, script, metric } = running;
    const [account = ''] = lab.dovecot.accounts;
    const counted = async () => [
      await metric('understudy_push_requests_total', outcome('protected')),
      await metric('understudy_push_requests_total', outcome('error')),
      await metric('understudy_push_requests_total', outcome('hinted')),
    ];
    const client = await ImapClient.open(lab.dovecot, account);
    lab.after(() => client.close());
    assert.ok((await client.append('INBOX', numberedMessage('well'))).ok);
    assert.deepEqual(await counted(), [1, 0, 0]);

    for (const to of ['RFC822.SIZE 7322 ', 'XFC822.SIZE 7321 ']) {
      script.rewrites.push({ from: 'RFC822.SIZE 7321 ', to });
      const before = await counted();
      const raw = Buffer.concat([numberedMessage('ill'), Buffer.alloc(7_321, 'z')]).subarray(0, 7_321);
      assert.ok((await client.append('INBOX', raw)).ok);
      assert.deepEqual(await counted(), [before[0], (before[1] ?? 0) + 1, 0], to);
      script.rewrites.length = 0;
    }

    const row = (await reading(lab.vaultDir, ({ catalog }) => catalog.mailboxByName(account, 'INBOX'))) as {
      uidValidity: number;
    };
    const told = async (event: object) => {
      const answer = await fetch(`${service.url}/push/${SERVER}`, {
        method: 'POST',
        body: JSON.stringify({ user: account, success: true, events: [event] }),
      });
      return ((await answer.json()) as { protected: boolean }).protected;
    };
    const { uidValidity } = row;
    assert.equal(
      await told({ name: 'MessageNew', mailbox: 'INBOX', uid: 1, uid_validity: uidValidity }),
      true,
    );
    assert.equal(await told({ name: 'MessageNew', mailbox: 'INBOX', uid: 99 }), false);
    assert.equal(await told({ name: 'MessageNew', mailbox: 'INBOX', uid: 1, uid_validity: 7 }), false);
    assert.equal(await told({ name: 'MessageNew', mailbox: 'shared/team', uid: 1 }), false);
    assert.equal(await told({ name: 'FlagsSet', mailbox: 'shared/team', uid: 1 }), false);

    const before = await counted();
    assert.ok((await client.create('Made')).ok);
    assert.deepEqual(await counted(), [before[0], before[1], 1]);
    await until('it is journaled all the same', 5_000, () =>
      reading(lab.vaultDir, ({ catalog }) => catalog.mailboxByName(account, 'Made') !== undefined),
    );
    assert.equal(await told({ name: 'MailboxDelete', mailbox: 'Made' }), false);
    assert.equal(await told({ name: 'MailboxDelete', mailbox: 'Never' }), true);
  });

  it(`loses no acknowledged message when Dovecot is killed ${KILLS} times among pipelined deliveries`, async (t) => {
    const seed = process.env['UNDERSTUDY_SEED'] ?? String(Math.floor(Math.random() * 1e9));
    t.diagnostic(`UNDERSTUDY_SEED=${seed}`);
    const random = new Random(seed);
    // A Maildir that dies with its dovecot-uidlist.lock held is locked for two minutes, for Dovecot and for everybody.
    const running = await startProtected(t, { accounts: 6, timeout: '3s', format: 'mdbox' });
    const { lab, service, metric } = running;
    const { accounts } = lab.dovecot;
    let number = 0;
    const acknowledged: string[] = [];
    let watch: JournalWatch | undefined;
    let refused = 0;
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const lmtp = await lmtpTo(running, 4);
      let dead = false;
      const streams = Array.from({ length: 8 }, async () => {
        while (!dead) {
          number += 1;
          const id = `kill-${kill}-${number}`;
          try {
            await lmtp.deliver(numberedMessage(id, random.integer(0, 20_000)), [random.pick(accounts)]);
            acknowledged.push(id);
          } catch {
            // Not acknowledged: it may be stored or not, and either is right.
            refused += 1;
            return;
          }
        }
      });
      await delay(random.integer(150, 900));
      await lab.dovecot.kill9();
      dead = true;
      await Promise.all(streams);
      // At once, while Dovecot is dead: nothing can be fetched any more.
      if (watch === undefined) {
        const opened = await JournalWatch.open(lab.vaultDir);
        t.after(() => opened.close());
        watch = opened;
      }
      const { messageIds } = await watch.look();
      assert.deepEqual(
        acknowledged.filter((id) => !messageIds.has(id)),
        [],
        `missing after kill ${kill}`,
      );
      await lab.dovecot.restart();
    }
    t.diagnostic(
      `${KILLS} kills: ${acknowledged.length} deliveries acknowledged, ${refused} not, 0 missing; let go on unprotected: ${await metric('understudy_push_fail_open_total')}`,
    );
    assert.ok(acknowledged.length > KILLS, 'deliveries were acknowledged');
    service.process.kill('SIGTERM');
    assert.equal((await service.ended).status, 0);
    // A message that was stored and not acknowledged may be unknown to Dovecot's own list until somebody opens the mailbox.
    await lab.serverState();
    assert.equal((await command(lab, 'shadow', SERVER, '--once')).status, 0);
    await lab.assertReplicaIsServer();
  });

  it('is back with the first delivery of a server that was away for long', async (t) => {
    const running = await startProtected(t, { accounts: 4, timeout: '3s', sweep: '300ms' });
    const { lab, service, metric } = running;
    const { accounts } = lab.dovecot;
    await lab.dovecot.kill9();
    const state = async () =>
      ((await (await fetch(`${service.url}/readyz`)).json()) as { servers: [{ state: string }] }).servers[0]
        .state;
    await until(
      'the service knows that the server is away',
      10_000,
      async () => (await state()) === 'stalled',
    );
    // Tried again after 1, 3 and 7 s: the next try is far away.
    await delay(3_500);
    await lab.dovecot.restart();
    const lmtp = await lmtpTo(running, accounts.length);
    await Promise.all(accounts.map((account) => lmtp.deliver(numberedMessage(`back-${account}`), [account])));
    const watch = await JournalWatch.open(lab.vaultDir);
    t.after(() => watch.close());
    const { messageIds } = await watch.look();
    assert.deepEqual(
      accounts.filter((account) => !messageIds.has(`back-${account}`)),
      [],
    );
    assert.equal(await metric('understudy_push_fail_open_total'), 0);
    await lmtp.close();
  });

  it('lets mail flow when the service is slow, hangs or is gone, and counts it', async (t) => {
    const running = await startProtected(t, { accounts: 2, timeout: '500ms', proxied: true });
    const { lab, service, script, proxy, metric } = running;
    const lmtp = await lmtpTo(running);
    const deliver = async (id: string) => {
      const began = performance.now();
      await lmtp.deliver(numberedMessage(id), ['user0001']);
      return performance.now() - began;
    };
    await deliver('well');
    assert.equal(await metric('understudy_push_requests_total', outcome('protected')), 1);

    // The service is well and cannot fetch: it says so within its own time-out.
    script.faults.push({ what: 'half-open' });
    for (const account of ['user0002']) await lmtp.deliver(numberedMessage('not-fetched'), [account]);
    assert.equal(await metric('understudy_push_requests_total', outcome('timeout')), 1);
    assert.equal(await metric('understudy_push_fail_open_total'), 1);
    assert.ok(proxy.struck > 0);
    script.faults.length = 0;

    service.process.kill('SIGSTOP');
    const hanging = await deliver('hanging');
    service.process.kill('SIGCONT');
    assert.ok(hanging < 2_500, `${hanging} ms with a service that hangs`);

    service.process.kill('SIGTERM');
    const { status, stderr } = await service.ended;
    assert.equal(status, 0, stderr);
    const gone = await deliver('gone');
    assert.ok(gone < 1_500, `${gone} ms without a service`);
    await lmtp.close();
    assert.match(lab.dovecot.log(), /understudy: a change of user0001 was not told/);

    // All of it is found by the next pass.
    const pass = await command(lab, 'shadow', SERVER, '--once', '--json');
    assert.equal(pass.status, 0, pass.stdout);
    const compared = await command(lab, 'verify', SERVER, '--json');
    assert.deepEqual([compared.status, document(compared).equal], [0, true], compared.stdout);
    await lab.assertReplicaIsServer();
  });
});
