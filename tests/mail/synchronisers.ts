/**
 * Programs with which people keep their mail in Maildir on their own machine, and which remember what they have: the real ones. Told that
 * a server has moved, they take it for the one they know.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a person logs in: an address, and their own password. */
export interface MailPlace {
  readonly address: string;
  readonly imapPort: number;
  accountPassword(account: string): string;
}

export interface Synchroniser {
  readonly name: string;
  /** Debian's. */
  readonly packageName: string;
  /** Mailboxes that the program cannot handle, whatever the server. */
  leavesOut(mailbox: string): boolean;
  /** Both ways, into `folder`; gives what the program said. Throws when it fails. */
  synchronise(folder: string, place: MailPlace, account: string): string;
}

const mbsync: Synchroniser = {
  name: 'mbsync',
  packageName: 'isync',
  leavesOut: () => false,
  synchronise(folder, place, account) {
    const configFile = join(folder, 'mbsyncrc');
    writeFileSync(
      configFile,
      `IMAPAccount there
Host ${place.address}
Port ${place.imapPort}
User ${account}
Pass ${place.accountPassword(account)}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account there

MaildirStore near
Path ${folder}/
Inbox ${folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Expunge Near
Sync All
SyncState *
`,
    );
    return said('mbsync', ['--config', configFile, '--all', '--verbose']);
  },
};

const offlineimap: Synchroniser = {
  name: 'offlineimap',
  packageName: 'offlineimap3',
  // It sends the quotes in a name as they are.
  leavesOut: (mailbox) => mailbox.includes('"'),
  synchronise(folder, place, account) {
    mkdirSync(join(folder, 'mail'), { recursive: true });
    const configFile = join(folder, 'offlineimaprc');
    writeFileSync(
      configFile,
      `[general]
metadata = ${folder}/metadata
accounts = person
maxsyncaccounts = 1
ui = basic

[Account person]
localrepository = here
remoterepository = there

[Repository here]
type = Maildir
localfolders = ${folder}/mail
sep = /

[Repository there]
type = IMAP
remotehost = ${place.address}
remoteport = ${place.imapPort}
remoteuser = ${account}
remotepass = ${place.accountPassword(account)}
ssl = no
starttls = no
auth_mechanisms = PLAIN, LOGIN
folderfilter = lambda name: '"' not in name
`,
    );
    return said('offlineimap', ['-o', '-c', configFile]);
  },
};

export const synchronisers: readonly Synchroniser[] = [mbsync, offlineimap];

function said(program: string, args: readonly string[]): string {
  return execFileSync('sh', ['-c', 'exec "$0" "$@" 2>&1', program, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });
}

/** Messages, by the names that the program gave them: flags are part of those. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\/(cur|new)\/./.test(name))
    .sort();
}

/** What a person does offline: flags one message of the INBOX that is not flagged, and files another one there. */
export function workOffline(folder: string, message: Uint8Array): void {
  const unflagged = filesBelow(folder).find((name) => /\bINBOX\/cur\/.*:2,[^F]*$/.test(name)) as string;
  const [base, flags = ''] = unflagged.split(':2,') as [string, string?];
  // Letters are in the order of the alphabet.
  const flagged = [...flags, 'F'].sort().join('');
  renameSync(join(folder, unflagged), join(folder, `${base}:2,${flagged}`));
  writeFileSync(join(folder, base.slice(0, base.lastIndexOf('/')), '1700000000.P1.here:2,S'), message);
}
