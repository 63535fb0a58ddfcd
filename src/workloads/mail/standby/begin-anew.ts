/**
 * Lets the UIDs of an emptied INBOX begin anew where it can neither be renamed nor deleted: Dovecot's Maildir. The files that number
 * messages are removed through the doveadm API (`fsDelete`), and Dovecot makes them again; messages are files of their own.
 */
import { crashPoint } from '../../../lib/index.ts';
import type { DoveadmClient } from '../doveadm/index.ts';

/** A session that had the mailbox open before goes on with what was removed: the account is looked at again over another one. */
export class BegunAnew extends Error {}

const NUMBERING = ['dovecot-uidlist'];
const INDEX = ['dovecot.index', 'dovecot.index.log', 'dovecot.index.log.2', 'dovecot.index.cache'];
const ABSENT = 68;

/** The files; undefined where the API does not tell them, or may not touch them. */
export async function numberingFiles(
  doveadm: DoveadmClient | undefined,
  user: string,
  mailbox: string,
): Promise<readonly string[] | undefined> {
  if (!doveadm) return undefined;
  const folders: string[] = [];
  for (const type of ['control', 'index']) {
    const [result] = await doveadm.run([{ name: 'mailboxPath', parameters: { user, mailbox, type } }]);
    const path = result?.ok ? (result.rows as { path?: unknown }[])[0]?.path : undefined;
    if (typeof path !== 'string' || !path.startsWith('/')) return undefined;
    folders.push(path);
  }
  const [control, index] = folders as [string, string];
  const [found] = await doveadm.run([onFile('fsStat', `${control}/${NUMBERING[0]}`)]);
  if (!found?.ok) return undefined;
  return [...NUMBERING.map((file) => `${control}/${file}`), ...INDEX.map((file) => `${index}/${file}`)];
}

/** The mailbox must be empty, and not open here. False when a file could not be removed. */
export async function beginAnew(doveadm: DoveadmClient, files: readonly string[]): Promise<boolean> {
  crashPoint('standby.begin-anew.before');
  const results = await doveadm.run(
    files.map((file) => ({ ...onFile('fsDelete', file), parameters: { ...POSIX, path: [file] } })),
  );
  return results.every((result) => result.ok || result.exitCode === ABSENT);
}

const POSIX = { fsDriver: 'posix', fsArgs: '' };

function onFile(name: string, path: string) {
  return { name, parameters: { ...POSIX, path } };
}
