/**
 * Goal: the service may die at any moment and is simply started again; it ends cleanly when asked; commands go through
 * it; and without pushes it still notices a delivery within seconds. Method: the command as a process of its own,
 * deliveries and flag changes that go on meanwhile. `UNDERSTUDY_SEED` repeats the moments of the kills.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { vaultFiles } from '../../src/catalog/index.ts';
import { verifyJournal } from '../../src/journal/index.ts';
import { Random } from '../../src/lib/index.ts';
import { type Service, startService } from '../cli/service.ts';
import { fillDovecot } from '../lab/fill.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { ImapClient } from './imap-client.ts';
import { command, document, idsIn, numberedMessage, reading, until } from './service-support.ts';
import { MailLab, SERVER, serversMissing } from './support.ts';

const KILLS = 5;
const LISTEN = 'api: { listen: "127.0.0.1:0" }';

/** Killed with the test, if it still runs then. */
async function serve(t: TestContext, lab: MailLab): Promise<Service> {
  const service = await startService(dirname(lab.configFile));
  t.after(async () => {
    service.process.kill('SIGKILL');
    await service.ended;
  });
  return service;
}

/** Ends the service as an operator does. */
async function end(service: Service): Promise<{ tookMs: number }> {
  const began = performance.now();
  service.process.kill('SIGTERM');
  const { status, stderr } = await service.ended;
  assert.equal(status, 0, stderr);
  return { tookMs: performance.now() - began };
}

async function json(lab: MailLab, ...args: string[]) {
  const finished = await command(lab, ...args, '--json');
  return { status: finished.status, output: document(finished) };
}

async function assertJournalWhole(lab: MailLab): Promise<void> {
  const { status, output } = await json(lab, 'journal', 'verify', SERVER);
  assert.deepEqual([status, output.ok], [0, true], JSON.stringify(output));
}

interface Load {
  readonly deliveries: number;
  readonly changes: number;
  stop(): Promise<void>;
}

/** Deliveries and flag changes, some 40 a second, until stopped. */
async function startLoad({ dovecot }: MailLab, random: Random): Promise<Load> {
  const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort, connections: 2 });
  const clients = await Promise.all(dovecot.accounts.map((account) => ImapClient.open(dovecot, account)));
  const load = { deliveries: 0, changes: 0, stop };
  let stopped = false;
  const delivering = (async () => {
    while (!stopped) {
      load.deliveries += 1;
      const raw = numberedMessage(`load-${load.deliveries}`, random.integer(0, 30_000));
      await lmtp.deliver(raw, [random.pick(dovecot.accounts)]);
      await delay(random.integer(5, 40));
    }
  })();
  const changing = clients.map(async (client) => {
    while (!stopped) {
      await client.select('INBOX');
      const uids = await client.uids();
      if (uids.length > 0) {
        const uid = String(random.pick(uids));
        const change = random.chance(0.5) ? '+FLAGS' : '-FLAGS';
        if (random.chance(0.1)) await client.expunge(uid);
        else await client.store(uid, change, [random.pick(['\\Seen', '\\Flagged', 'work'])]);
        load.changes += 1;
      }
      await delay(random.integer(20, 100));
    }
  });
  const all = Promise.all([delivering, ...changing]);
  all.catch(() => {}); // `stop` tells it.
  async function stop(): Promise<void> {
    stopped = true;
    await all;
    await Promise.all([lmtp.close(), ...clients.map((client) => client.close())]);
  }
  return load;
}

describe('the service', { skip: serversMissing }, () => {
  it(`goes on after ${KILLS} kills at random moments under load`, async (t) => {
    const seed = process.env['UNDERSTUDY_SEED'] ?? String(Math.floor(Math.random() * 1e9));
    t.diagnostic(`UNDERSTUDY_SEED=${seed}`);
    const random = new Random(seed);
    const lab = await MailLab.start(t, {
      accounts: 4,
      lines: [LISTEN, 'journal: { segmentSize: 1MiB }'],
      serverLines: ['shadow: { sweep: 500ms }'],
    });
    // So much that the first kills meet the baseline.
    await fillDovecot(lab.dovecot, {
      messages: 800,
      seed: 1,
      approxBytes: 12_000,
      mailboxes: ['INBOX', 'Archive'],
    });
    const load = await startLoad(lab, random);
    let last = 0;
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const service = await serve(t, lab);
      await delay(random.integer(50, kill === 1 ? 400 : 2_000));
      service.process.kill('SIGKILL');
      await service.ended;
      const { journal } = vaultFiles(lab.vaultDir);
      if (!existsSync(journal)) continue;
      const report = await verifyJournal({ storage: journal });
      assert.deepEqual(report.faults, [], `after kill ${kill}`);
      assert.ok(
        report.committedLsn >= last,
        `after kill ${kill}: LSN ${report.committedLsn}, before ${last}`,
      );
      last = report.committedLsn;
    }
    const service = await serve(t, lab);
    await delay(500);
    await load.stop();
    t.diagnostic(
      `${KILLS} kills among ${load.deliveries} deliveries and ${load.changes} changes, LSN ${last}`,
    );
    const pass = await json(lab, 'shadow', SERVER, '--once');
    assert.deepEqual([pass.status, pass.output.problems], [0, []]);
    const compared = await json(lab, 'verify', SERVER);
    assert.deepEqual([compared.status, compared.output.equal], [0, true], JSON.stringify(compared.output));
    await end(service);
    await assertJournalWhole(lab);
    await lab.assertReplicaIsServer();
  });

  it('ends soon after SIGTERM in the middle of a baseline, with a whole journal', async (t) => {
    const lab = await MailLab.start(t, { lines: [LISTEN] });
    await fillDovecot(lab.dovecot, { messages: 1_200, seed: 2, pool: 100 });
    const service = await serve(t, lab);
    // On a fast machine it may be over before the first answer.
    await until('the baseline has begun', 30_000, async () => {
      const { output } = await json(lab, 'status');
      return ['baseline', 'following'].includes(output.servers[0].state) && output.servers[0].lsn > 0;
    });
    const { tookMs } = await end(service);
    // The baseline itself takes longer than its ending, however slow the machine is.
    t.diagnostic(`${Math.round(tookMs)} ms`);
    assert.ok(tookMs < 20_000, `${Math.round(tookMs)} ms`);
    assert.equal(existsSync(`${dirname(lab.configFile)}/data/service.json`), false);
    await assertJournalWhole(lab);
    assert.equal((await command(lab, 'shadow', SERVER, '--once')).status, 0);
    await lab.assertReplicaIsServer();
  });

  it('does what commands ask, refuses a second one, and prints one document each', async (t) => {
    const lab = await MailLab.start(t, { lines: [LISTEN], serverLines: ['shadow: { watch: 0, sweep: 1h }'] });
    const [account = ''] = lab.dovecot.accounts;
    const client = await ImapClient.open(lab.dovecot, account);
    for (const id of ['one', 'two', 'three']) await client.append('INBOX', numberedMessage(id));
    const service = await serve(t, lab);
    await until(
      'the first pass is over',
      10_000,
      async () => (await json(lab, 'status')).output.servers[0].lastPassAt,
    );

    const second = await command(lab, 'run');
    assert.equal(second.status, 3);
    assert.match(second.stderr, new RegExp(`API_SERVICE_RUNNING: .*process ${service.process.pid}\\b`));

    await client.append('INBOX', numberedMessage('four'));
    const pass = await json(lab, 'shadow', SERVER, '--once');
    assert.deepEqual([pass.status, pass.output.messagesAdded], [0, 1]);
    const checkpoint = await json(lab, 'checkpoint', SERVER, '--label', 'four');
    assert.equal(checkpoint.status, 0);

    await client.select('INBOX');
    await client.expunge('2:3');
    await json(lab, 'shadow', SERVER, '--once');
    const history = ['history', SERVER, '--account', account, '--mailbox', 'INBOX'] as const;
    const subjects = async (...at: string[]) =>
      (await json(lab, ...history, ...at)).output.messages.map((row: { subject: string }) => row.subject);
    assert.deepEqual(await subjects(), ['one', 'four']);
    assert.deepEqual(await subjects('--at', 'four'), ['one', 'two', 'three', 'four']);

    const restored = await json(lab, 'restore', SERVER, '--account', account, '--at', 'four', '--yes');
    assert.deepEqual(
      [restored.status, restored.output.messagesRestored],
      [0, 2],
      JSON.stringify(restored.output),
    );
    await json(lab, 'shadow', SERVER, '--once');
    assert.deepEqual((await subjects()).toSorted(), ['four', 'one', 'three', 'two']);
    const compared = await json(lab, 'verify', SERVER);
    assert.deepEqual([compared.status, compared.output.equal], [0, true], JSON.stringify(compared.output));

    const unknown = await json(lab, 'history', SERVER, '--account', 'nobody');
    assert.notEqual(unknown.status, 0);
    assert.ok(unknown.output.error.code, 'an error is a document too');
    await client.close();
    await end(service);
    await lab.assertReplicaIsServer();
  });

  it('notices deliveries and flags within three seconds by IDLE alone', async (t) => {
    const lab = await MailLab.start(t, {
      lines: [LISTEN],
      serverLines: ['shadow: { watch: 20, sweep: 1h }'],
    });
    const service = await serve(t, lab);
    const [account = ''] = lab.dovecot.accounts;
    await until('it follows', 10_000, async () => (await json(lab, 'status')).output.servers[0].lastPassAt);
    await delay(1_000);
    const lmtp = await connectLmtp({ host: lab.dovecot.address, port: lab.dovecot.lmtpPort });
    for (const id of ['noticed-1', 'noticed-2']) {
      await lmtp.deliver(numberedMessage(id), lab.dovecot.accounts);
      await until(`${id} is in the replica of every account`, 3_000, () =>
        reading(lab.vaultDir, ({ catalog }) =>
          lab.dovecot.accounts.every((name) => idsIn(catalog, name).includes(id)),
        ),
      );
    }
    await lmtp.close();
    const client = await ImapClient.open(lab.dovecot, account);
    await client.select('INBOX');
    await client.store('1', '+FLAGS', ['\\Flagged']);
    await until('the flag is in the replica', 3_000, () =>
      reading(lab.vaultDir, ({ catalog }) => {
        const inbox = catalog.mailboxByName(account, 'INBOX');
        return inbox && catalog.messages(inbox.id)[0]?.flags.includes('\\Flagged');
      }),
    );
    await client.close();
    await end(service);
  });
});
