/** The tools that an operator has today: dsync into a second Dovecot, and mbsync into a Maildir. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../tests/lab/address.ts';
import { type Dovecot, type DovecotOptions, startDovecot } from '../../tests/lab/dovecot.ts';
import { run } from './processes.ts';

const PASSWORD = 'dsync-secret';

/** Both sides of a dsync over TCP know one password. */
export const dsyncConfig = `doveadm_password = ${PASSWORD}\n`;

export interface BackupTarget {
  readonly dovecot: Dovecot;
  /** Forgets all mail, so that the next backup begins anew. */
  clear(): void;
  /** `doveadm backup` of all users of `source`, one after the other or `parallel` at once; resolves with the ms it took. */
  backup(source: Dovecot, parallel: number): Promise<number>;
}

/** A second Dovecot that takes backups over TCP. */
export async function startBackupTarget(options: DovecotOptions): Promise<BackupTarget> {
  const port = await freePort();
  const dovecot = await startDovecot({
    ...options,
    extraConfig: `${dsyncConfig}service doveadm {
  inet_listener dsync {
    address = 127.0.0.1
    port = ${port}
  }
}
`,
  });
  return {
    dovecot,
    clear: () => {
      for (const name of readdirSync(dovecot.mailRoot)) {
        rmSync(join(dovecot.mailRoot, name), { recursive: true, force: true });
      }
    },
    backup: async (source, parallel) => {
      const doveadm = (...args: string[]) => run('doveadm', ['-c', source.configFile, 'backup', ...args]);
      const target = `tcp:127.0.0.1:${port}`;
      const start = performance.now();
      if (parallel === 1) await doveadm('-A', target);
      else {
        const left = [...source.accounts];
        const worker = async () => {
          for (let user = left.shift(); user !== undefined; user = left.shift()) {
            await doveadm('-u', user, target);
          }
        };
        await Promise.all(Array.from({ length: parallel }, worker));
      }
      return performance.now() - start;
    },
  };
}

/** mbsync pulls every account into a new Maildir; resolves with the ms it took. `fsync: false` is its `FSync no`. */
export async function pullWithMbsync(
  source: Dovecot,
  folder: string,
  options: { readonly fsync: boolean },
): Promise<number> {
  mkdirSync(folder, { recursive: true });
  const configFile = join(folder, 'mbsyncrc');
  const channels = source.accounts.map((account) => {
    const path = join(folder, account);
    mkdirSync(path);
    return `IMAPAccount ${account}
Host ${source.address}
Port ${source.imapPort}
User ${account}
Pass ${source.accountPassword(account)}
SSLType None
AuthMechs LOGIN

IMAPStore ${account}-far
Account ${account}

MaildirStore ${account}-near
Path ${path}/
Inbox ${path}/INBOX
SubFolders Verbatim

Channel ${account}
Far :${account}-far:
Near :${account}-near:
Patterns *
Create Near
Sync Pull
SyncState *
`;
  });
  writeFileSync(configFile, `${options.fsync ? '' : 'FSync no\n\n'}${channels.join('\n')}`);
  const { ms } = await run('mbsync', ['--config', configFile, '--all', '--quiet']);
  return ms;
}
