/**
 * A probe: what a client does in its first minute, once, with a watch. Without `write` it only reads. With it, it stores and removes a
 * message in a mailbox of its own, has a message delivered, and leaves nothing behind but the UID that the delivery took in its inbox.
 */
import { randomUUID } from 'node:crypto';
import { internalDateMs } from '../../../catalog/index.ts';
import type { MailServerConfig } from '../../../config/index.ts';
import { UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type { ImapConnection } from '../imap/index.ts';
import { connectLmtp } from '../lmtp/index.ts';
import { logInFor, TIMEOUT_MS } from './log-in.ts';
import { createProbeMailbox, deleteProbeMailbox } from './probe-mailbox.ts';
import type { ProbeOptions, ProbeReport, ProbeStep, ProbeStepName } from './types.ts';

const POLL_MS = 30;
/** A delivery that is not in INBOX by then is looked for everywhere: a script may have filed it. */
const ELSEWHERE_AFTER_MS = 1_000;

/** Never rejects but with the signal's reason: what fails is a step with its error. May be repeated, also by several at once. */
export async function probeServer(config: MailServerConfig, options: ProbeOptions): Promise<ProbeReport> {
  const probe = new Probe(config, options);
  await probe.run();
  return probe.report();
}

class Probe {
  readonly #config: MailServerConfig;
  readonly #options: ProbeOptions;
  readonly #timeoutMs: number;
  readonly #steps: ProbeStep[] = [];
  readonly #beganMs: number;
  #connection: ImapConnection | undefined;
  #clockSkewMs: number | undefined;

  constructor(config: MailServerConfig, options: ProbeOptions) {
    this.#config = config;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#beganMs = options.clock.monotonicMs();
  }

  async run(): Promise<void> {
    const { write = false, lmtpPort } = this.#options;
    try {
      await this.#step('login', async () => this.#logIn());
      await this.#step('open', async () => this.#open(this.#loggedIn()));
      await this.#step('read', async () => this.#readNewest(this.#loggedIn()));
      if (!write) return;
      await this.#writeAndRemove(this.#loggedIn());
      if (lmtpPort !== undefined) await this.#deliver(this.#loggedIn(), lmtpPort);
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      // The step that failed has it; what came after it was not tried.
      if (!(error instanceof StepFailed)) throw error;
    } finally {
      await this.#connection?.logout();
    }
  }

  report(): ProbeReport {
    const asked: ProbeStepName[] = ['login', 'open', 'read'];
    if (this.#options.write) asked.push('append', 'remove', 'tidy');
    if (this.#options.write && this.#options.lmtpPort !== undefined) asked.push('deliver', 'arrive');
    const missing = asked.filter((name) => !this.#steps.some((step) => step.name === name));
    const steps = [
      ...this.#steps,
      ...missing.map(
        (name): ProbeStep => ({ name, state: 'skipped', ms: 0, detail: 'a step before it failed' }),
      ),
    ];
    return {
      host: this.#options.through?.host ?? this.#config.host,
      account: this.#options.account,
      ok: steps.every(({ state }) => state === 'done'),
      steps,
      elapsedMs: this.#options.clock.monotonicMs() - this.#beganMs,
      ...(this.#clockSkewMs === undefined ? {} : { clockSkewMs: this.#clockSkewMs }),
    };
  }

  async #logIn(): Promise<string> {
    this.#connection = await logInFor(this.#config, this.#options);
    return `logged in as ${this.#options.account}`;
  }

  async #open(connection: ImapConnection): Promise<string> {
    const inbox = await connection.examine('INBOX');
    return `INBOX has ${inbox.exists} messages, UIDVALIDITY ${inbox.uidValidity}`;
  }

  async #readNewest(connection: ImapConnection): Promise<string> {
    if (connection.selected?.exists === 0) return 'INBOX is empty: nothing to read';
    let read: string | undefined;
    await connection.fetch('*', { size: true, body: true }, ({ uid, size, body }) => {
      if (body && body.length !== size) {
        throw mailErrors.make(
          'MAIL_PROBE_DIFFERS',
          `UID ${uid} of INBOX has ${body.length} bytes, and ${size} by its RFC822.SIZE`,
        );
      }
      read = `read UID ${uid}, ${size} bytes`;
    });
    return read ?? 'the newest message went meanwhile';
  }

  /** The mailbox is deleted whatever happened in it. */
  async #writeAndRemove(connection: ImapConnection): Promise<void> {
    let mailbox: string | undefined;
    const { raw } = this.#message();
    try {
      await this.#step('append', async () => {
        mailbox = await createProbeMailbox(connection, this.#options.clock);
        return this.#append(connection, mailbox, raw);
      });
      await this.#step('remove', async () => this.#removeAll(connection));
    } finally {
      const made = mailbox;
      if (made !== undefined) {
        await this.#step('tidy', async () => {
          const others = await deleteProbeMailbox(connection, made, this.#options.clock);
          return `deleted the probe's mailbox${others > 0 ? `, and ${others} left behind by earlier ones` : ''}`;
        });
      }
    }
  }

  async #append(connection: ImapConnection, mailbox: string, raw: Buffer): Promise<string> {
    const before = this.#options.clock.wallMs();
    await connection.append(mailbox, [{ flags: ['\\Seen'], body: raw }]);
    const after = this.#options.clock.wallMs();
    await connection.select(mailbox);
    let served: Buffer | undefined;
    await connection.fetch('1:*', { flags: true, internalDate: true, body: true }, (message) => {
      served = message.body ? Buffer.from(message.body) : undefined;
      const dateMs = internalDateMs(message.internalDate ?? '');
      // Whole seconds, cut off: the server's clock was on average half a second further.
      if (dateMs !== undefined) this.#clockSkewMs = Math.round(dateMs + 500 - (before + after) / 2);
    });
    if (!served?.equals(raw)) {
      throw mailErrors.make(
        'MAIL_PROBE_DIFFERS',
        `the message that was stored came back ${served === undefined ? 'not at all' : 'different'}`,
      );
    }
    return `stored ${raw.length} bytes and read them back`;
  }

  async #removeAll(connection: ImapConnection): Promise<string> {
    await connection.store('1:*', 'add', ['\\Deleted']);
    await connection.expunge('1:*');
    const left = await connection.search('ALL');
    if (left.length > 0) {
      throw mailErrors.make('MAIL_PROBE_DIFFERS', 'the message that was removed is still there');
    }
    return 'removed it again';
  }

  async #deliver(connection: ImapConnection, port: number): Promise<void> {
    const { account, recipient = account, through } = this.#options;
    const { raw, messageId } = this.#message();
    await this.#step('deliver', async () => {
      const host = through?.host ?? this.#config.host;
      const lmtp = await connectLmtp({
        host,
        port: through?.lmtpPort ?? port,
        timeoutMs: this.#timeoutMs,
      });
      try {
        await lmtp.deliver(raw, [recipient], '');
      } finally {
        await lmtp.close();
      }
      return `LMTP on port ${through?.lmtpPort ?? port} took a message for ${recipient}`;
    });
    await this.#step('arrive', async () => {
      const where = await this.#awaitArrival(connection, messageId);
      await connection.store(where.uids, 'add', ['\\Deleted']);
      await connection.expunge(where.uids);
      return `it came to ${where.mailbox}, and was removed`;
    });
  }

  /** Leaves the mailbox in which it is selected. Errors: MAIL_DELIVERY_ABSENT */
  async #awaitArrival(
    connection: ImapConnection,
    messageId: string,
  ): Promise<{ mailbox: string; uids: string }> {
    const { clock, signal } = this.#options;
    const began = clock.monotonicMs();
    const lookIn = async (mailbox: string) => {
      if (connection.selected?.name !== mailbox || connection.selected.readOnly)
        await connection.select(mailbox);
      const found = await connection.search(`HEADER Message-ID "${messageId}"`);
      return found.map(({ from, to }) => `${from}:${to}`).join(',');
    };
    for (;;) {
      const inInbox = await lookIn('INBOX');
      if (inInbox !== '') return { mailbox: 'INBOX', uids: inInbox };
      const waitedMs = clock.monotonicMs() - began;
      if (waitedMs > ELSEWHERE_AFTER_MS) {
        for (const { name, selectable } of await connection.listMailboxes({ status: false })) {
          if (!selectable || name === 'INBOX') continue;
          const found = await lookIn(name);
          if (found !== '') return { mailbox: name, uids: found };
        }
      }
      if (waitedMs > this.#timeoutMs) {
        throw mailErrors.make(
          'MAIL_DELIVERY_ABSENT',
          `${messageId} was taken by LMTP and is in no mailbox of ${this.#options.account} after ${Math.round(waitedMs)} ms`,
        );
      }
      await clock.sleep(waitedMs > ELSEWHERE_AFTER_MS ? ELSEWHERE_AFTER_MS : POLL_MS, signal);
      // Some servers tell of new mail after a NOOP only.
      await connection.noop();
    }
  }

  #message(): { raw: Buffer; messageId: string } {
    const messageId = `<${randomUUID()}@probe.understudy>`;
    const date = new Date(this.#options.clock.wallMs()).toUTCString().replace('GMT', '+0000');
    const raw = Buffer.from(
      `From: Understudy <>\r\nTo: ${this.#options.account}\r\nSubject: Understudy probe\r\nDate: ${date}\r\n` +
        `Message-ID: ${messageId}\r\nAuto-Submitted: auto-generated\r\n\r\nThis tries whether the server serves. It is removed by itself.\r\n`,
    );
    return { raw, messageId };
  }

  #loggedIn(): ImapConnection {
    if (!this.#connection) throw new Error('not logged in');
    return this.#connection;
  }

  async #step(name: ProbeStepName, work: () => Promise<string>): Promise<void> {
    const { clock, signal } = this.#options;
    signal?.throwIfAborted();
    const began = clock.monotonicMs();
    try {
      const detail = await work();
      this.#steps.push({ name, state: 'done', ms: clock.monotonicMs() - began, detail });
    } catch (error) {
      signal?.throwIfAborted();
      // Anything else is a defect of ours.
      if (!(error instanceof UnderstudyError)) throw error;
      const { code, message, remedy } = error;
      this.#steps.push({
        name,
        state: 'failed',
        ms: clock.monotonicMs() - began,
        detail: message,
        error: { code, message, remedy },
      });
      throw new StepFailed(name);
    }
  }
}

class StepFailed extends Error {}
