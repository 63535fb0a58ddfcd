/** Two readings of an account: what a disaster took, and whether all of it came back as it was. Pure. */
import { brokenPromises } from './promises.ts';
import type { AccountReading, MailboxReading, MessageReading } from './reading.ts';

export interface Loss {
  /** Mailboxes that are gone, or are others under the same name (another UIDVALIDITY). */
  readonly mailboxes: readonly string[];
  readonly messages: readonly LostMessage[];
  readonly bytes: number;
}

export interface LostMessage extends MessageReading {
  readonly mailbox: string;
}

/** What `before` has and `now` does not, by mailbox, UIDVALIDITY, UID and bytes. */
export function lossBetween(before: AccountReading, now: AccountReading): Loss {
  const mailboxes: string[] = [];
  const messages: LostMessage[] = [];
  for (const mailbox of before.values()) {
    const same = now.get(mailbox.name);
    const living = same?.uidValidity === mailbox.uidValidity ? same : undefined;
    if (!living) mailboxes.push(mailbox.name);
    for (const message of mailbox.messages.values()) {
      if (living?.messages.get(message.uid)?.sha256 === message.sha256) continue;
      messages.push({ ...message, mailbox: mailbox.name });
    }
  }
  return { mailboxes, messages, bytes: messages.reduce((sum, { size }) => sum + size, 0) };
}

export interface Return {
  /** Lost messages that are there again: same mailbox, bytes, flags and INTERNALDATE. */
  readonly messages: number;
  /** Those of them with the UID that they had. */
  readonly uidsKept: number;
  /** Every mailbox of the loss has its UIDVALIDITY again. */
  readonly uidValidityKept: boolean;
  /** Everything that is not as it was, one line each; empty when all is well. */
  readonly differences: readonly string[];
}

export interface Expectation {
  /** Message-IDs sent to the account meanwhile: these alone may be there beside the old mail, each once. */
  readonly sent: ReadonlySet<string>;
  /** Those of them that the server acknowledged before `after` was read: these must be there. */
  readonly acknowledged: ReadonlySet<string>;
  /** Whether a lost message may come back under a new UID: into a mailbox that lives, none is given twice. */
  readonly newUids: boolean;
}

/** Compares everything of `after` with `before`, not only what was lost. */
export function compareReadings(
  before: AccountReading,
  after: AccountReading,
  loss: Loss,
  expected: Expectation,
): Return {
  const comparison = new Comparison(loss, expected);
  for (const mailbox of before.values()) comparison.mailbox(mailbox, after.get(mailbox.name));
  for (const { name } of after.values()) {
    if (!before.has(name)) comparison.differences.push(`mailbox ${name}: was not there before`);
  }
  comparison.differences.push(...brokenPromises(after, expected));
  return {
    messages: comparison.returned,
    uidsKept: comparison.uidsKept,
    uidValidityKept: loss.mailboxes.every(
      (name) => after.get(name)?.uidValidity === before.get(name)?.uidValidity,
    ),
    differences: comparison.differences,
  };
}

class Comparison {
  readonly differences: string[] = [];
  returned = 0;
  uidsKept = 0;
  readonly #lost: ReadonlySet<string>;
  readonly #expected: Expectation;

  constructor(loss: Loss, expected: Expectation) {
    this.#lost = new Set(loss.messages.map(({ mailbox, uid }) => `${mailbox} ${uid}`));
    this.#expected = expected;
  }

  mailbox(before: MailboxReading, after: MailboxReading | undefined): void {
    if (!after) {
      this.differences.push(`mailbox ${before.name}: missing`);
      return;
    }
    const where = `mailbox ${before.name}`;
    this.#differ(where, 'UIDVALIDITY', before.uidValidity, after.uidValidity);
    this.#differ(where, 'subscribed', before.subscribed, after.subscribed);
    this.#differ(where, 'special use', before.specialUse, after.specialUse);
    if (after.uidNext < before.uidNext) this.#differ(where, 'UIDNEXT', before.uidNext, after.uidNext);

    const others = new Map(after.messages);
    const elsewhere: MessageReading[] = [];
    for (const message of before.messages.values()) {
      const same = others.get(message.uid);
      if (same?.sha256 === message.sha256) {
        others.delete(message.uid);
        this.#message(before.name, message, same);
      } else elsewhere.push(message);
    }
    for (const message of elsewhere) {
      const same = [...others.values()].find(({ sha256 }) => sha256 === message.sha256);
      if (same) others.delete(same.uid);
      this.#message(before.name, message, same);
    }
    for (const { uid, messageId } of others.values()) {
      if (!this.#expected.sent.has(messageId))
        this.differences.push(`${where}, UID ${uid}: was not there before`);
    }
  }

  #message(mailbox: string, before: MessageReading, after: MessageReading | undefined): void {
    const where = `mailbox ${mailbox}, UID ${before.uid}`;
    const wasLost = this.#lost.has(`${mailbox} ${before.uid}`);
    if (!after) {
      this.differences.push(`${where}: missing`);
      return;
    }
    const found = this.differences.length;
    this.#differ(where, 'flags', before.flags.join(' '), after.flags.join(' '));
    this.#differ(where, 'INTERNALDATE', before.internalDate, after.internalDate);
    this.#differ(where, 'RFC822.SIZE', before.size, after.size);
    if (wasLost && this.differences.length === found) {
      this.returned += 1;
      if (after.uid === before.uid) this.uidsKept += 1;
    }
    if (!wasLost || !this.#expected.newUids) this.#differ(where, 'UID', before.uid, after.uid);
  }

  #differ(where: string, what: string, before: unknown, after: unknown): void {
    if (before !== after)
      this.differences.push(`${where}: ${what} was ${String(before)}, is ${String(after)}`);
  }
}
