/**
 * How long it takes to bring an empty second server to what the journal of a lost one says, next to `doveadm backup` from a server that
 * still lives; and how long when UIDs are far apart, so that each has to be reached.
 */
import { join } from 'node:path';
import { Vault, VaultReader } from '../src/catalog/index.ts';
import { loadConfig, type MailServerConfig, serverNamed } from '../src/config/index.ts';
import { silentLog, systemClock } from '../src/lib/index.ts';
import { bringUp, shadowOnce } from '../src/workloads/mail/index.ts';
import { type Dovecot, startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { spreadUids } from '../tests/lab/sparse-uids.ts';
import { readFlags } from './lib/flags.ts';
import { dsyncConfig, startBackupTarget } from './lib/peers.ts';
import { Report } from './lib/report.ts';
import { onStage, type Stage } from './lib/stage.ts';
import { SERVER, Setup } from './lib/understudy.ts';

const flags = readFlags('Restore onto another server, next to doveadm backup.', {
  accounts: { default: 20, what: 'Accounts.' },
  messages: { default: 20_000, what: 'Messages in all.' },
  sparse: { default: 10_000, what: 'Messages of one mailbox whose UIDs are far apart; 0 leaves that out.' },
  apart: { default: 50, what: 'How far apart these UIDs are.' },
  seed: { default: 1, what: 'Seed of all that is random.' },
});
const report = new Report('restore', flags);

const missing = requirePackages(['dovecot-core', 'dovecot-imapd']);
if (missing) throw new Error(missing);

/** A standby that takes backups too, so that both have the same target. */
async function measure(stage: Stage, name: string, live: Dovecot, withPeer: boolean): Promise<void> {
  const target = await startBackupTarget({ format: 'mdbox', accounts: live.accounts });
  stage.after(() => target.dovecot.stop());
  const setup = new Setup(stage.folder, live, { doveadm: true });
  const config = serverNamed(loadConfig(join(setup.folder, 'understudy.yaml')), SERVER);
  const dir = join(stage.folder, name);
  const deps = { server: SERVER, config, clock: systemClock, log: silentLog };
  const vault = await Vault.open({ dir, clock: systemClock, log: silentLog });
  const shadowed = await shadowOnce({ ...deps, vault });
  await vault.close();
  report.say(`${name}: ${shadowed.messagesAdded} messages are in the journal`);

  const reader = await VaultReader.open({ dir, clock: systemClock });
  const standby = standbyOf(config, target.dovecot);
  const own = await bringUp({ ...deps, source: SERVER, reader, target: 'mail-b', config: standby }, {});
  await reader.close();
  if (own.problems.length > 0) throw new Error(JSON.stringify(own.problems[0]));
  const rows: [string, number, number, number][] = [
    ['understudy restore --to', own.elapsedMs / 1_000, own.messagesRestored, own.bytesRestored / 1e6],
  ];
  if (withPeer) {
    target.clear();
    const ms = await target.backup(live, config.shadow.connections);
    rows.push(['doveadm backup', ms / 1_000, own.messagesRestored, own.bytesRestored / 1e6]);
  }
  report.table(
    name,
    ['', 'seconds', 'messages/s', 'MB/s'],
    rows.map(([what, seconds, messages, megabytes]) => [
      what,
      seconds,
      messages / seconds,
      megabytes / seconds,
    ]),
  );
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
  const live = await startDovecot({ format: 'maildir', accounts: flags.accounts, extraConfig: dsyncConfig });
  stage.after(() => live.stop());
  await fillDovecot(live, { messages: flags.messages, seed: flags.seed });
  await measure(stage, 'a whole server', live, true);
  if (flags.sparse > 0) {
    const sparse = await startDovecot({ format: 'maildir', accounts: 1 });
    stage.after(() => sparse.stop());
    await fillDovecot(sparse, {
      messages: flags.sparse,
      seed: flags.seed,
      approxBytes: 2_000,
      mailboxes: ['INBOX'],
    });
    spreadUids(sparse, sparse.accounts[0] as string, 'INBOX', flags.apart);
    await measure(stage, 'UIDs far apart', sparse, false);
  }
  report.finish();
});
