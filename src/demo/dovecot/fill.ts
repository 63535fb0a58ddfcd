/**
 * Fills a server with generated mail, for benches and load tests: Maildirs are written as files, the fastest way
 * there is; other stores are filled over IMAP with MULTIAPPEND (RFC 3502).
 */
import { createMailGenerator, type MailGenerator } from '../mail-generator/index.ts';
import type { Dovecot } from './dovecot.ts';
import { MaildirWriter } from './maildir-writer.ts';
import { MultiAppender } from './multi-append.ts';

export interface FillOptions {
  /** In all, spread evenly over the accounts. */
  messages: number;
  /** Default: 1. */
  seed?: number | string;
  /** Default: sizes as mail has them, 36 KB on average. */
  approxBytes?: number;
  /** Default: all accounts of the server. They must not have been used yet. */
  accounts?: readonly string[];
  /** Names that every account gets, its messages spread evenly over them. Default: the generator's usual folders. */
  mailboxes?: readonly string[];
  /**
   * Generate only this many messages and vary them by their Message-ID alone: for millions of messages, when what
   * they say does not matter. Default: every message is generated.
   */
  pool?: number;
  onProgress?: (messages: number) => void;
}

export interface Filled {
  readonly messages: number;
  readonly bytes: number;
  readonly mailboxes: number;
}

/** A message with what the server stores beside it. */
export interface StoredMessage {
  readonly raw: Buffer;
  readonly flags: readonly string[];
  /** Whole seconds. */
  readonly internalDate: Date;
}

/** Where the messages of one account go. Messages of one mailbox come in a row. */
export interface AccountWriter {
  mailbox(name: string, subscribed: boolean): Promise<void>;
  message(message: StoredMessage): Promise<void> | void;
  end(): Promise<void>;
}

export async function fillDovecot(dovecot: Dovecot, options: FillOptions): Promise<Filled> {
  const accounts = options.accounts ?? dovecot.accounts;
  const generator = createMailGenerator(options.seed ?? 1);
  const next = options.pool ? pooled(generator, options.pool, options) : generated(generator, options);
  const filled = { messages: 0, bytes: 0, mailboxes: 0 };
  for (const [index, account] of accounts.entries()) {
    const share =
      Math.floor((options.messages * (index + 1)) / accounts.length) -
      Math.floor((options.messages * index) / accounts.length);
    const writer: AccountWriter =
      dovecot.format === 'maildir'
        ? new MaildirWriter(dovecot.home(account), dovecot.storePath(account))
        : await MultiAppender.open(dovecot, account);
    for (const { name, subscribed, count } of plan(generator, share, options.mailboxes)) {
      await writer.mailbox(name, subscribed);
      filled.mailboxes += 1;
      for (let at = 0; at < count; at += 1) {
        const { raw, date } = next();
        await writer.message({ raw, internalDate: date, flags: generator.flags(name) });
        filled.messages += 1;
        filled.bytes += raw.length;
        if (filled.messages % 500 === 0) {
          options.onProgress?.(filled.messages);
          await new Promise((otherWork) => setImmediate(otherWork));
        }
      }
    }
    await writer.end();
  }
  return filled;
}

function plan(generator: MailGenerator, messages: number, names: readonly string[] | undefined) {
  if (!names) return generator.mailboxPlan(messages);
  return names.map((name, index) => ({
    name,
    subscribed: true,
    count:
      Math.floor((messages * (index + 1)) / names.length) - Math.floor((messages * index) / names.length),
  }));
}

type Source = () => { raw: Buffer; date: Date };

function generated(generator: MailGenerator, { approxBytes }: FillOptions): Source {
  return () => generator.message(approxBytes === undefined ? {} : { approxBytes });
}

function pooled(generator: MailGenerator, size: number, options: FillOptions): Source {
  const make = generated(generator, options);
  const pool = Array.from({ length: size }, () => {
    const message = make();
    return { ...message, idAt: message.raw.indexOf('\r\nMessage-ID: <') + '\r\nMessage-ID: <'.length };
  });
  let count = 0;
  return () => {
    const { raw, date, idAt } = pool[count % size] as (typeof pool)[number];
    count += 1;
    const varied = Buffer.from(raw);
    varied.write(count.toString(36).padStart(12, '0'), idAt, 'latin1');
    return { raw: varied, date };
  };
}
