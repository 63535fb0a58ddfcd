/**
 * What it costs to find out that nothing changed: a pass over many accounts, with the doveadm API (one request for the
 * whole server) and over IMAP alone (one log-in or warm connection per account), next to `doveadm mailbox status -A`.
 * Time, and the processor time burnt on both sides.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readFlags } from './lib/flags.ts';
import { cpuSecondsOf, cpuSecondsOfAll, run } from './lib/processes.ts';
import { Report } from './lib/report.ts';
import { onStage } from './lib/stage.ts';
import { median } from './lib/statistics.ts';
import { SERVER, Setup } from './lib/understudy.ts';

const flags = readFlags('A pass over a server on which nothing changed.', {
  accounts: { default: 2_000, what: 'Accounts.' },
  mailboxes: { default: 5, what: 'Mailboxes of each, INBOX included.' },
  messages: { default: 2, what: 'Messages in each mailbox.' },
  runs: { default: 5, what: 'Passes of each kind.' },
});

interface Cost {
  readonly ms: number;
  readonly serverCpu: number;
  readonly ownCpu: number;
}

const report = new Report('pass', flags);

await onStage('pass', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd']);
  if (missing) throw new Error(missing);
  const dovecot = await startDovecot({ accounts: flags.accounts });
  stage.after(() => dovecot.stop());
  const names = ['INBOX', ...Array.from({ length: flags.mailboxes - 1 }, (_, at) => `Folder ${at + 1}`)];
  report.say(`filling ${flags.accounts} accounts with ${flags.mailboxes} mailboxes each`);
  await fillDovecot(dovecot, {
    messages: flags.accounts * flags.mailboxes * flags.messages,
    mailboxes: names,
    approxBytes: 3_000,
    pool: 200,
  });

  const costs = new Map<string, Cost[]>();
  const measure = async (name: string, work: () => Promise<{ ownCpu: number }>): Promise<void> => {
    const serverBefore = cpuSecondsOfAll(dovecot.processIds());
    const start = performance.now();
    const { ownCpu } = await work();
    const ms = performance.now() - start;
    const serverCpu = cpuSecondsOfAll(dovecot.processIds()) - serverBefore;
    costs.set(name, [...(costs.get(name) ?? []), { ms, serverCpu, ownCpu }]);
    report.say(`${name}: ${Math.round(ms)} ms`);
  };

  for (const doveadm of [true, false]) {
    const how = doveadm ? 'with the doveadm API' : 'IMAP alone';
    const folder = join(stage.folder, doveadm ? 'doveadm' : 'imap');
    mkdirSync(folder);
    // Passes happen only when asked for, so that each is measured alone.
    const setup = new Setup(folder, dovecot, { doveadm, serverLines: ['shadow: { sweep: 1d }'] });
    report.say(`first shadow, ${how}`);
    await setup.command(['shadow', SERVER, '--once', '--json']);
    for (let round = 0; round < flags.runs; round += 1) {
      await measure(`whole process, ${how}`, async () => {
        const { cpuSeconds, stdout } = await setup.command(['shadow', SERVER, '--once', '--json']);
        mustBeUnchanged(JSON.parse(stdout));
        return { ownCpu: cpuSeconds };
      });
    }
    const service = await setup.service();
    stage.after(() => service.stop());
    // The first one may share the pass that the service begins with.
    await service.call('shadow', { server: SERVER, once: true });
    for (let round = 0; round < flags.runs; round += 1) {
      await measure(`in the service, ${how}`, async () => {
        const before = cpuSecondsOf(service.pid).own;
        mustBeUnchanged(await service.call('shadow', { server: SERVER, once: true }));
        return { ownCpu: cpuSecondsOf(service.pid).own - before };
      });
    }
    await service.stop();
  }
  for (let round = 0; round < flags.runs; round += 1) {
    await measure('doveadm mailbox status -A', async () => {
      const fields = 'uidvalidity uidnext highestmodseq messages guid';
      const command = ['-c', dovecot.configFile, 'mailbox', 'status', '-A', fields, '*'];
      return { ownCpu: (await run('doveadm', command)).cpuSeconds };
    });
  }

  report.table(
    `Nothing changed in ${flags.accounts} accounts with ${flags.mailboxes} mailboxes; medians of ${flags.runs}`,
    ['', 's', 'CPU s of Dovecot', 'CPU s of the asking side'],
    [...costs].map(([name, all]) => [
      name,
      median(all.map(({ ms }) => ms / 1000)),
      median(all.map(({ serverCpu }) => serverCpu)),
      median(all.map(({ ownCpu }) => ownCpu)),
    ]),
  );
  report.figure('costs', Object.fromEntries(costs));
  for (const name of [...costs.keys()].filter((key) => !key.startsWith('doveadm'))) {
    const seconds = median((costs.get(name) ?? []).map(({ ms }) => ms / 1000));
    report.bar(`pass, ${name}`, seconds, '≤', 10, 's');
  }
  report.finish();
});

function mustBeUnchanged(summary: { messagesAdded?: number; problems?: readonly unknown[] }): void {
  if (summary.messagesAdded !== 0 || summary.problems?.length !== 0) {
    throw new Error(
      `something changed in a pass without changes: ${JSON.stringify(summary).slice(0, 2_000)}`,
    );
  }
}
