import {
  type MailboxRow,
  type MessageRow,
  requireAccount,
  requireMailbox,
  type SetAsideRow,
  type VaultReader,
} from '../../catalog/index.ts';
import type { Lsn } from '../../journal/index.ts';
import type { Clock, ProgressListener } from '../../lib/index.ts';
import { emlFormat } from './eml.ts';
import type { ExportFormat, MailboxExport } from './mailbox-export.ts';
import { maildirFormat } from './maildir.ts';
import { mboxFormat } from './mbox.ts';
import { makeFolder, syncFolder } from './target-file.ts';

export type ExportFormatName = 'maildir' | 'mbox' | 'eml';

export interface ExportRequest {
  readonly account: string;
  /** One mailbox alone; default: all of the account. */
  readonly mailbox?: string;
  /** As operators write it; default: now. */
  readonly at?: string;
  /** Folder; made if it is not there. */
  readonly to: string;
  readonly format: ExportFormatName;
}

export interface ExportResult {
  readonly at: { readonly lsn: Lsn; readonly time: number };
  readonly mailboxes: number;
  /** Messages in the target now, `skipped` included. */
  readonly messages: number;
  readonly bytes: number;
  /** Messages that an earlier run had exported already. */
  readonly skipped: number;
  /** Messages that the server never served rightly: not in the export. */
  readonly setAside: readonly (SetAsideRow & { readonly mailbox: string })[];
  /** What the format could not hold. */
  readonly notes: readonly string[];
}

const formats: Record<ExportFormatName, (to: string) => ExportFormat> = {
  eml: emlFormat,
  maildir: maildirFormat,
  mbox: mboxFormat,
};

/** Messages under way at once, and their bytes: what bounds memory. */
const windowMessages = 16;
const windowBytes = 8 << 20;

/**
 * Writes an account, or one mailbox of it, as of a point in time into a folder. Nothing is overwritten; files that are there
 * and equal are left, so an interrupted export goes on when it is run again. The messages' bytes are those the server served.
 * @throws CATALOG_ACCOUNT_UNKNOWN, CATALOG_MAILBOX_UNKNOWN, CATALOG_AT_*, HISTORY_EXPORT_TARGET_EXISTS,
 * HISTORY_EXPORT_STORAGE_FAILED, JOURNAL_DAMAGED; the signal's reason
 */
export async function exportAccount(
  reader: VaultReader,
  request: ExportRequest,
  options: { readonly clock: Clock; readonly onProgress?: ProgressListener; readonly signal?: AbortSignal },
): Promise<ExportResult> {
  const { catalog } = reader;
  const { account } = request;
  const asked =
    request.at === undefined
      ? catalog.appliedLsn
      : catalog.resolveAt(request.at, options.clock.wallMs(), account);
  requireAccount(catalog, account, asked);
  const commit = catalog.commitAtOrBefore(asked) as { lsn: Lsn; time: number };
  const at = commit.lsn;
  const mailboxes =
    request.mailbox === undefined
      ? catalog.mailboxes(account, at)
      : [requireMailbox(catalog, account, request.mailbox, at)];
  const progress = new ExportProgress(reader, mailboxes, at, options);
  await makeFolder(request.to);
  const format = formats[request.format](request.to);
  for (const mailbox of mailboxes) {
    const target = await format.mailbox(mailbox);
    const before = progress.messages;
    try {
      for (const window of windows(catalog.iterateMessages(mailbox.id, at))) {
        options.signal?.throwIfAborted();
        await exportWindow(reader, target, window, progress);
        progress.report(mailbox.name);
      }
    } catch (error) {
      await target.abandon();
      throw error;
    }
    if ((await target.finish()) === 'skipped') progress.skipped += progress.messages - before;
  }
  if (request.mailbox === undefined) await format.finish(catalog.subscriptions(account, at));
  await syncFolder(request.to);
  const names = new Map(mailboxes.map(({ id, name }) => [id, name]));
  const setAside = catalog
    .setAside(account, at)
    .flatMap((row) =>
      names.has(row.mailboxId) ? [{ ...row, mailbox: names.get(row.mailboxId) as string }] : [],
    );
  const { messages, bytes, skipped } = progress;
  return { at: commit, mailboxes: mailboxes.length, messages, bytes, skipped, setAside, notes: format.notes };
}

async function exportWindow(
  reader: VaultReader,
  target: MailboxExport,
  window: readonly MessageRow[],
  progress: ExportProgress,
): Promise<void> {
  const one = async (message: MessageRow, body: Buffer) => {
    progress.count(message.size, await target.add(message, body));
  };
  const adding: Promise<void>[] = [];
  try {
    for (const message of window) {
      const body = await reader.body(message.bodyLsn);
      if (target.sequential) await one(message, body);
      else adding.push(one(message, body));
    }
  } finally {
    // None is left running when one fails: its file would appear after the error.
    await Promise.allSettled(adding);
  }
  await Promise.all(adding);
}

function* windows(messages: Iterable<MessageRow>): Iterable<readonly MessageRow[]> {
  let window: MessageRow[] = [];
  let bytes = 0;
  for (const message of messages) {
    window.push(message);
    bytes += message.size;
    if (window.length < windowMessages && bytes < windowBytes) continue;
    yield window;
    window = [];
    bytes = 0;
  }
  if (window.length > 0) yield window;
}

class ExportProgress {
  messages = 0;
  bytes = 0;
  skipped = 0;
  readonly #account: string | undefined;
  readonly #messagesTotal: number;
  readonly #bytesTotal: number;
  readonly #startMs: number;
  readonly #clock: Clock;
  readonly #onProgress: ProgressListener | undefined;

  constructor(
    { catalog }: VaultReader,
    mailboxes: readonly MailboxRow[],
    at: Lsn,
    options: { readonly clock: Clock; readonly onProgress?: ProgressListener },
  ) {
    const counts = mailboxes.map(({ id }) => catalog.countMessages(id, at));
    this.#account = mailboxes[0]?.account;
    this.#messagesTotal = counts.reduce((sum, { messages }) => sum + messages, 0);
    this.#bytesTotal = counts.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#clock = options.clock;
    this.#startMs = options.clock.monotonicMs();
    this.#onProgress = options.onProgress;
  }

  count(bytes: number, outcome: 'written' | 'skipped'): void {
    this.messages += 1;
    this.bytes += bytes;
    if (outcome === 'skipped') this.skipped += 1;
  }

  report(mailbox: string): void {
    const elapsedMs = this.#clock.monotonicMs() - this.#startMs;
    this.#onProgress?.({
      phase: 'export',
      ...(this.#account === undefined ? {} : { account: this.#account }),
      mailbox,
      messagesDone: this.messages,
      messagesTotal: this.#messagesTotal,
      bytesDone: this.bytes,
      bytesTotal: this.#bytesTotal,
      elapsedMs,
      etaMs: this.bytes > 0 ? (elapsedMs / this.bytes) * (this.#bytesTotal - this.bytes) : 0,
    });
  }
}
