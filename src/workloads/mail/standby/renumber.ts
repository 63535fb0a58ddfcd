/**
 * UIDs far apart in Dovecot's Maildir, where reaching one costs as much as many messages: its list of UIDs is written anew for each. So
 * messages are appended one after the other, under another UIDVALIDITY, and then the list is replaced by one with the wanted UIDs and
 * the wanted UIDVALIDITY: clients meet the one or the other, never a mixture.
 *
 * The new list comes to the server as a message of a mailbox beside, in the words of which there is nothing to change; the doveadm API
 * links its file to the place of the list (`fsCopy`). The format: https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/maildir/
 */
import { crashPoint, hasCode } from '../../../lib/index.ts';
import type { DoveadmClient, DoveadmCommand } from '../doveadm/index.ts';
import { mailErrors } from '../errors.ts';
import type { ImapConnection } from '../imap/index.ts';
import { ensureMailbox } from '../restore/index.ts';
import { removeMessages, takeAway } from './aside.ts';
import type { NumberingFiles } from './begin-anew.ts';
import { FILLER, isFillerDate } from './filler.ts';
import type { AccountTools } from './tools.ts';

/** What jumps and fillers may cost before this is cheaper, in messages. */
const WORTH_FROM = 300;
/** A jump counts like so many fillers. */
const JUMP_AS_FILLERS = 30;
/** A list is held in memory. */
const UIDS_MOST = 250_000;
const ABSENT = 68;

/** `uids`: ascending, all that are to be appended to an empty mailbox whose next UID is `next`. */
export function isWorthRenumbering(uids: readonly number[], next: number): boolean {
  if (uids.length > UIDS_MOST) return false;
  let cost = 0;
  let reached = next;
  for (const uid of uids) {
    cost += Math.min(uid - reached, JUMP_AS_FILLERS);
    reached = uid + 1;
  }
  return cost >= WORTH_FROM;
}

/** Before it is looked at in detail: `gaps` = UIDs that are not used. */
export function mayBeWorthRenumbering(gaps: number): boolean {
  return gaps >= WORTH_FROM;
}

export interface Renumbering {
  readonly account: string;
  /** Of the target. It holds what was appended to it and nothing else, and is not open here. */
  readonly mailbox: string;
  /** The mailbox that the list comes in; it may be there from an interrupted run. */
  readonly beside: string;
  readonly files: NumberingFiles;
  /** As the messages have them now, ascending. */
  readonly has: readonly number[];
  /** As they are to have them. */
  readonly wanted: readonly number[];
  readonly uidValidity: number;
  readonly uidNext: number;
}

/**
 * False when the target does not let itself be renumbered that way: nothing is said then of the mailbox's UIDVALIDITY and UIDs but that
 * they are not the wanted ones. After true, sessions that had the mailbox open before go on with what was: look over another one. Errors:
 * MAIL_MAILBOX_MOVED when somebody wrote into it; `MAIL_…` of the connection and the API.
 */
export async function renumber(tools: AccountTools, job: Renumbering): Promise<boolean> {
  const { doveadm, connection } = tools;
  if (!doveadm) return false;
  const files = new ServerFiles(doveadm, job.files);
  const [list, ...index] = job.files.paths as [string, ...string[]];
  const old = await files.read(list);
  if (old === undefined) return false;
  const text = renumbered(old, job);
  if (text === undefined) return false;
  await takeBesideAway(tools, job.account, job.beside, job.mailbox);
  const source = await bringOver(connection, doveadm, files, job, text);
  crashPoint('standby.renumber.before');
  const isDone = source !== undefined && (await files.replace(source, list, index));
  crashPoint('standby.renumber.after');
  await takeBesideAway(tools, job.account, job.beside, job.mailbox);
  return isDone;
}

/** Removes the mailbox of a list. What else is in it steps aside. */
export async function takeBesideAway(
  tools: AccountTools,
  account: string,
  beside: string,
  home: string,
): Promise<void> {
  const { connection } = tools;
  try {
    await connection.select(beside);
  } catch (error) {
    if (hasCode(error, 'MAIL_MAILBOX_ABSENT')) return;
    throw error;
  }
  const ours: number[] = [];
  await connection.fetch('1:*', { flags: true, internalDate: true }, ({ uid, flags, internalDate }) => {
    if (flags?.includes('\\Deleted') && isFillerDate(internalDate)) ours.push(uid);
  });
  await removeMessages(connection, ours);
  await connection.unselect();
  await takeAway(tools, account, beside, home);
}

/**
 * The list with other UIDs; undefined when it is in another format. Error MAIL_MAILBOX_MOVED when it lists anything else than what was
 * appended.
 */
function renumbered(
  text: string,
  { has, wanted, uidValidity, uidNext, mailbox }: Renumbering,
): string | undefined {
  const [head = '', ...lines] = text.trimEnd().split('\n');
  if (!/^3 V\d+ N\d+( |$)/.test(head)) return undefined;
  const entries = lines.map((line) => ({
    uid: Number.parseInt(line, 10),
    rest: line.slice(line.indexOf(' ')),
  }));
  const isOurs = entries.length === has.length && entries.every(({ uid }, at) => uid === has[at]);
  if (!isOurs) {
    throw mailErrors.make(
      'MAIL_MAILBOX_MOVED',
      `somebody else wrote into ${mailbox} while it was brought up`,
    );
  }
  return [
    head.replace(/^3 V\d+ N\d+/, `3 V${uidValidity} N${uidNext}`),
    ...entries.map(({ rest }, at) => `${wanted[at]}${rest}`),
    '',
  ].join('\n');
}

/** The file on the server that has exactly this text; undefined where messages are not stored as they come. */
async function bringOver(
  connection: ImapConnection,
  doveadm: DoveadmClient,
  files: ServerFiles,
  { account, beside }: Renumbering,
  text: string,
): Promise<string | undefined> {
  await ensureMailbox(connection, beside);
  await connection.append(beside, [{ ...FILLER, body: Buffer.from(text) }]);
  const folder = await pathOf(doveadm, account, beside, 'mailbox');
  const control = await pathOf(doveadm, account, beside, 'control');
  if (folder === undefined || control === undefined) return undefined;
  const name = /^\d+ [^:\n]*:([^\n]+)$/m.exec((await files.read(`${control}/dovecot-uidlist`)) ?? '')?.[1];
  if (name === undefined) return undefined;
  // As its flag \Deleted has it.
  const path = `${folder}/cur/${name}:2,T`;
  return (await files.read(path)) === text ? path : undefined;
}

async function pathOf(
  doveadm: DoveadmClient,
  user: string,
  mailbox: string,
  type: 'control' | 'mailbox',
): Promise<string | undefined> {
  const [result] = await doveadm.run([{ name: 'mailboxPath', parameters: { user, mailbox, type } }]);
  const path = result?.ok ? (result.rows as { path?: unknown }[])[0]?.path : undefined;
  return typeof path === 'string' ? path : undefined;
}

/** Files of the server, through the commands of the API that has those of `numberingFiles`. */
class ServerFiles {
  readonly #doveadm: DoveadmClient;
  readonly #files: NumberingFiles;

  constructor(doveadm: DoveadmClient, files: NumberingFiles) {
    this.#doveadm = doveadm;
    this.#files = files;
  }

  async read(path: string): Promise<string | undefined> {
    const [result] = await this.#doveadm.run([this.#command('Get', { path })]);
    const content = result?.ok ? (result.rows as { content?: unknown }[])[0]?.content : undefined;
    return typeof content === 'string' ? content : undefined;
  }

  /** `to` becomes `from`, and `stale` goes, in one request: nobody should come in between. False where it may not be. */
  async replace(from: string, to: string, stale: readonly string[]): Promise<boolean> {
    const [copied, ...removed] = await this.#doveadm.run([
      this.#command('Copy', { sourcePath: from, destinationPath: to }),
      ...stale.map((path) => this.#files.remove(path)),
    ]);
    return copied?.ok === true && removed.every((result) => result.ok || result.exitCode === ABSENT);
  }

  /** The siblings `fsGet` and `fsCopy` of `fsDelete`, whatever the release calls them and wants besides. */
  #command(act: 'Get' | 'Copy', paths: Readonly<Record<string, string>>): DoveadmCommand {
    const { name, parameters } = this.#files.remove('');
    const { path: _, ...rest } = parameters;
    return { name: name.replace('Delete', act), parameters: { ...rest, ...paths } };
  }
}
