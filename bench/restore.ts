/**
 * How long it takes to bring an empty second server to what the journal of a lost one says, next to `doveadm backup` from a server that
 * still lives; and how long when UIDs are far apart, so that each has to be reached.
 */
import { join } from 'node:path';
import { Vault, VaultReader } from '../src/catalog/index.ts';
import { loadConfig, type MailServerConfig, serverNamed } from '../src/config/index.ts';
import { silentLog, systemClock } from '../src/lib/index.ts';
import { bringUp, shadowOnce } from '../src/workloads/mail/index.ts';
import { type Dovecot, type StoreFormat, startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { spreadUids } from '../tests/lab/sparse-uids.ts';
import { readFlags } from './lib/flags.ts';
import { dsyncConfig, startBackupTarget } from './lib/peers.ts';
import { Report } from './lib/report.ts';
import { onStage, type Stage } from './lib/stage.ts';
import { median } from './lib/statistics.ts';
import { SERVER, Setup } from './lib/understudy.ts';

const flags = readFlags('Restore onto another server, next to doveadm backup.', {
  accounts: { default: 20, what: 'Accounts.' },
  messages: { default: 20_000, what: 'Messages in all.' },
  small: { default: 10_000, what: 'Small messages of one account in one mailbox; 0 leaves that out.' },
  sparse: { default: 10_000, what: 'Messages of one mailbox whose UIDs are far apart; 0 leaves that out.' },
  apart: { default: 50, what: 'How far apart these UIDs are.' },
  rounds: { default: 3, what: 'Everything is done so often, in turns; medians count.' },
  formats: { default: 'mdbox,maildir', what: 'Stores of the target.' },
  seed: { default: 1, what: 'Seed of all that is random.' },
});
const report = new Report('restore', flags);
const formats = flags.formats.split(',') as StoreFormat[];

const TIMES_FASTER = 3;
const SPARSE_SECONDS = 60;

const missing = requirePackages(['dovecot-core', 'dovecot-imapd']);
if (missing) throw new Error(missing);

interface Case {
  readonly name: string;
  readonly live: Dovecot;
  /** Next to `doveadm backup`. */
  readonly peers: boolean;
}

async function measure(stage: Stage, { name, live, peers }: Case): Promise<void> {
  const setup = new Setup(stage.folder, live, { doveadm: true });
  const config = serverNamed(loadConfig(join(setup.folder, 'understudy.yaml')), SERVER);
  const { connections } = config.shadow;
  const dir = join(stage.folder, name.replaceAll(' ', '-'));
  const deps = { server: SERVER, config, clock: systemClock, log: silentLog };
  const vault = await Vault.open({ dir, clock: systemClock, log: silentLog });
  const shadowed = await shadowOnce({ ...deps, vault });
  await vault.close();
  report.say(`${name}: ${shadowed.messagesAdded} messages are in the journal`);

  for (const format of formats) {
    // It takes backups too, so that all have the same target.
    const target = await startBackupTarget({ format, accounts: live.accounts });
    const standby = standbyOf(config, target.dovecot);
    let bytes = 0;
    const restore = async () => {
      const reader = await VaultReader.open({ dir, clock: systemClock });
      try {
        const done = await bringUp(
          { ...deps, source: SERVER, reader, target: 'mail-b', config: standby },
          {},
        );
        if (done.problems.length > 0) throw new Error(JSON.stringify(done.problems[0]));
        if (done.messagesRestored !== shadowed.messagesAdded) throw new Error('not everything was restored');
        bytes = done.bytesRestored;
        return done.elapsedMs;
      } finally {
        await reader.close();
      }
    };
    const ways = new Map<string, () => Promise<number>>([['understudy restore --to', restore]]);
    if (peers) {
      ways.set('doveadm backup, account by account', () => target.backup(live, 1));
      if (live.accounts.length > 1) {
        ways.set(`the same, ${connections} at once`, () => target.backup(live, connections));
      }
    }
    const took = new Map([...ways.keys()].map((way) => [way, [] as number[]]));
    for (let round = 1; round <= flags.rounds; round += 1) {
      for (const [way, run] of ways) {
        target.clear();
        const ms = await run();
        took.get(way)?.push(ms / 1_000);
        report.say(`${name}, ${format}, round ${round}: ${way}: ${(ms / 1_000).toFixed(1)} s`);
      }
    }
    await target.dovecot.stop();
    tell(`${name}, ${format}`, took, shadowed.messagesAdded, bytes, peers);
  }
}

function tell(
  title: string,
  took: ReadonlyMap<string, readonly number[]>,
  messages: number,
  bytes: number,
  peers: boolean,
): void {
  const medians = [...took].map(([way, seconds]) => ({ way, seconds: median(seconds) }));
  const [own, ...others] = medians as [
    { way: string; seconds: number },
    ...{ way: string; seconds: number }[],
  ];
  report.table(
    title,
    ['', 'seconds', 'messages/s', 'MB/s', 'Understudy is faster'],
    medians.map(({ way, seconds }, at) => [
      way,
      seconds,
      messages / seconds,
      bytes / 1e6 / seconds,
      at === 0 ? '' : `${(seconds / own.seconds).toFixed(1)} ×`,
    ]),
  );
  report.figure(title, Object.fromEntries(took));
  if (!peers) report.bar(title, own.seconds, '≤', SPARSE_SECONDS, 's');
  for (const { way, seconds } of others) {
    if (way.startsWith('doveadm backup')) {
      report.bar(`${title}, to ${way}`, seconds / own.seconds, '≥', TIMES_FASTER, '×');
    }
  }
}

function standbyOf(live: MailServerConfig, dovecot: Dovecot): MailServerConfig {
  return {
    ...live,
    host: dovecot.address,
    imap: { ...live.imap, port: dovecot.imapPort },
    ...(live.doveadm ? { doveadm: { ...live.doveadm, url: dovecot.doveadmUrl } } : {}),
  };
}

await onStage('restore', async (stage) => {
  const start = async (options: Parameters<typeof startDovecot>[0]) => {
    const live = await startDovecot({ format: 'maildir', extraConfig: dsyncConfig, ...options });
    stage.after(() => live.stop());
    return live;
  };
  if (flags.messages > 0) {
    const live = await start({ accounts: flags.accounts });
    await fillDovecot(live, { messages: flags.messages, seed: flags.seed });
    await measure(stage, { name: 'a whole server', live, peers: true });
  }
  const small = { seed: flags.seed, approxBytes: 2_000, mailboxes: ['INBOX'] };
  if (flags.small > 0) {
    const live = await start({ accounts: 1 });
    await fillDovecot(live, { ...small, messages: flags.small });
    await measure(stage, { name: 'one account with small messages', live, peers: true });
  }
  if (flags.sparse > 0) {
    const live = await start({ accounts: 1 });
    await fillDovecot(live, { ...small, messages: flags.sparse });
    spreadUids(live, live.accounts[0] as string, 'INBOX', flags.apart);
    await measure(stage, { name: 'UIDs far apart', live, peers: false });
  }
  report.finish();
});
