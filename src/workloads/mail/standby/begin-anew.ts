/**
 * Lets the UIDs of an emptied INBOX begin anew where it can neither be renamed nor deleted: Dovecot's Maildir. The files that number
 * messages are removed through the doveadm API, and Dovecot makes them again; messages are files of their own.
 */
import { crashPoint, hasCode } from '../../../lib/index.ts';
import type { DoveadmClient, DoveadmCommand } from '../doveadm/index.ts';

/** A session that had the mailbox open before goes on with what was removed: the account is looked at again over another one. */
export class BegunAnew extends Error {}

export interface NumberingFiles {
  readonly paths: readonly string[];
  remove(path: string): DoveadmCommand;
}

/** How files are looked at and removed through the API. */
interface FileCommands {
  stat(path: string): DoveadmCommand;
  remove(path: string): DoveadmCommand;
}

const NUMBERING = ['dovecot-uidlist'];
const INDEX = ['dovecot.index', 'dovecot.index.log', 'dovecot.index.log.2', 'dovecot.index.cache'];
const ABSENT = 68;

/** The files, or one sentence why the API does not tell them, or may not touch them. Errors: `MAIL_DOVEADM_…` when it does not answer. */
export async function numberingFiles(
  doveadm: DoveadmClient | undefined,
  user: string,
  mailbox: string,
): Promise<NumberingFiles | string> {
  if (!doveadm) return 'no doveadm API is configured for it';
  const control = await pathOf(doveadm, user, mailbox, 'control');
  const index = await pathOf(doveadm, user, mailbox, 'index');
  if (control === undefined || index === undefined) {
    return 'its doveadm API does not tell where the mailbox lies';
  }
  const commands = await fileCommands(doveadm, user, `${control}/${NUMBERING[0]}`);
  if (typeof commands === 'string') return commands;
  return {
    paths: [...NUMBERING.map((file) => `${control}/${file}`), ...INDEX.map((file) => `${index}/${file}`)],
    remove: commands.remove,
  };
}

/**
 * Why the INBOX of a user, opened before, could not begin anew; undefined where it could, and in formats that need it not, for their INBOX can be
 * renamed. Changes nothing. Errors: as `numberingFiles`.
 */
export async function anewProblem(doveadm: DoveadmClient, user: string): Promise<string | undefined> {
  if ((await pathOf(doveadm, user, 'INBOX', 'mailbox'))?.endsWith('/dbox-Mails')) return undefined;
  const files = await numberingFiles(doveadm, user, 'INBOX');
  return typeof files === 'string' ? files : undefined;
}

/** The mailbox must be empty, and not open here. False when a file could not be removed. */
export async function beginAnew(doveadm: DoveadmClient, files: NumberingFiles): Promise<boolean> {
  crashPoint('standby.begin-anew.before');
  const results = await doveadm.run(files.paths.map(files.remove));
  return results.every((result) => result.ok || result.exitCode === ABSENT);
}

async function pathOf(
  doveadm: DoveadmClient,
  user: string,
  mailbox: string,
  type: 'control' | 'index' | 'mailbox',
): Promise<string | undefined> {
  const [result] = await doveadm.run([{ name: 'mailboxPath', parameters: { user, mailbox, type } }]);
  const path = result?.ok ? (result.rows as { path?: unknown }[])[0]?.path : undefined;
  return typeof path === 'string' && path.startsWith('/') ? path : undefined;
}

async function fileCommands(
  doveadm: DoveadmClient,
  user: string,
  tried: string,
): Promise<FileCommands | string> {
  const old = commands23();
  const [first] = await doveadm.run([old.stat(tried)]);
  if (first?.ok) return old;
  if (first?.type !== 'invalidRequest') return 'its doveadm API may not look at its files';
  const commands = commands24(user);
  try {
    const [second] = await doveadm.run([commands.stat(tried)]);
    return second?.ok ? commands : 'its doveadm API may not look at its files';
  } catch (error) {
    if (!hasCode(error, 'MAIL_DOVEADM_UNREACHABLE')) throw error;
    // Dovecot 2.4 ends the process where its configuration names no file system. Anything else fails again.
    await doveadm.check();
    return 'its configuration gives doveadm no access to files (protocol doveadm { fs posix { } })';
  }
}

/** Dovecot 2.3: the driver is a parameter. */
function commands23(): FileCommands {
  const posix = { fsDriver: 'posix', fsArgs: '' };
  return {
    stat: (path) => ({ name: 'fsStat', parameters: { ...posix, path } }),
    remove: (path) => ({ name: 'fsDelete', parameters: { ...posix, path: [path] } }),
  };
}

/** Dovecot 2.4: the driver is that of the configuration, and a user's files may be touched as the user. */
function commands24(user: string): FileCommands {
  const whose = { user, filterName: 'understudy' };
  return {
    stat: (path) => ({ name: 'mailFsStat', parameters: { ...whose, path } }),
    remove: (path) => ({ name: 'mailFsDelete', parameters: { ...whose, path: [path] } }),
  };
}
