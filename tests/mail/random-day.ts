/**
 * A day of mail: random but repeatable activity of several accounts, as clients and deliveries cause it, over
 * IMAP and LMTP. Every account acts by its own sequence of random numbers, one operation after the other; accounts act
 * at the same time. The server may refuse an operation: it decides what is possible.
 */
import { Random } from '../../src/lib/index.ts';
import type { Dovecot } from '../lab/dovecot.ts';
import { connectLmtp, type LmtpClient } from '../lab/lmtp.ts';
import { type Answer, ImapClient } from './imap-client.ts';

const names = [
  'Work',
  'Work/Projects',
  'Work/Projects/2024',
  'Archive',
  'Sent',
  'with two spaces  ',
  'quo"te',
  'back\\slash',
  '100%',
  'star*',
  'Entwürfe',
  'Entwürfe/日本語 & mehr',
  'emoji 😀',
  '&amp;-',
  '{5}',
  '(paren) [bracket]',
  'a.b',
  '~tilde',
  'INBOX/Below',
  'inbox2',
  'deep/a/b/c/d/e/f/g/h/i/j',
  `long ${'x'.repeat(150)}`,
];
const systemFlags = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft'];
const keywords = ['$Forwarded', '$Junk', 'NonJunk', '$Label1', '$Label2', 'a.b-c'];

interface Actor {
  readonly account: string;
  readonly random: Random;
  client: ImapClient;
  sent: number;
}

type Operation = (actor: Actor) => Promise<string>;

export class RandomDay {
  /** What was done so far, for the report of a failure. */
  readonly log: string[] = [];
  readonly #actors: Actor[] = [];
  readonly #dovecot: Dovecot;
  readonly #lmtp: LmtpClient;
  readonly #renameInbox: boolean;

  /**
   * `renameInbox: false` leaves that out: it makes Dovecot damage the indexes of an mdbox under sessions that are open for
   * long, up to crashes, and they never see the mailboxes right again.
   */
  static async begin(
    dovecot: Dovecot,
    seed: string | number,
    options: { readonly renameInbox?: boolean } = {},
  ): Promise<RandomDay> {
    const lmtp = await connectLmtp({
      host: dovecot.address,
      port: dovecot.lmtpPort,
      connections: dovecot.accounts.length,
    });
    const day = new RandomDay(dovecot, lmtp, options.renameInbox ?? true);
    for (const account of dovecot.accounts) {
      const client = await ImapClient.open(dovecot, account);
      day.#actors.push({ account, random: new Random(`${seed} ${account}`), client, sent: 0 });
    }
    return day;
  }

  private constructor(dovecot: Dovecot, lmtp: LmtpClient, renameInbox: boolean) {
    this.#dovecot = dovecot;
    this.#renameInbox = renameInbox;
    this.#lmtp = lmtp;
  }

  /** Every account does `operations`; resolves when all are answered. */
  async act(operations: number): Promise<void> {
    await Promise.all(
      this.#actors.map(async (actor) => {
        for (let count = 0; count < operations; count += 1) {
          const operation = actor.random.weighted(this.#operations);
          this.log.push(`${actor.account} ${await this.#tryTo(operation, actor)}`);
        }
      }),
    );
  }

  /** Dovecot hangs up on a client whose mailbox was deleted or renamed under it. */
  async #tryTo(operation: Operation, actor: Actor): Promise<string> {
    try {
      return await operation(actor);
    } catch (error) {
      if (!actor.client.ended) throw error;
      actor.client = await ImapClient.open(this.#dovecot, actor.account);
      return 'was disconnected';
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#actors.map(({ client }) => client.close()));
    await this.#lmtp.close();
  }

  readonly #operations: readonly { weight: number; item: Operation }[] = [
    {
      weight: 14,
      item: async (actor) => {
        const raw = message(actor);
        await this.#lmtp.deliver(raw, [actor.account]);
        return `deliver ${raw.length} bytes`;
      },
    },
    {
      weight: 14,
      item: async (actor) => {
        const mailbox = await anyMailbox(actor);
        const date = actor.random.pick([
          '17-Jul-2026 02:44:25 +0200',
          ' 5-Feb-1994 21:52:25 -0800',
          undefined,
        ]);
        const answer = await actor.client.append(mailbox, message(actor), {
          flags: someFlags(actor.random),
          ...(date === undefined ? {} : { date }),
        });
        return said(`append ${mailbox}`, answer);
      },
    },
    {
      weight: 10,
      item: onMessages(async (actor, set) => {
        const to = await anyMailbox(actor);
        return said(`copy ${set} to ${to}`, await actor.client.copy(set, to));
      }),
    },
    {
      weight: 12,
      item: onMessages(async (actor, set) => {
        const to = await anyMailbox(actor);
        return said(`move ${set} to ${to}`, await actor.client.move(set, to));
      }),
    },
    {
      weight: 20,
      item: onMessages(async (actor, set) => {
        const change = actor.random.pick(['+FLAGS', '-FLAGS', 'FLAGS'] as const);
        const flags = someFlags(actor.random);
        return said(
          `store ${set} ${change} ${flags.join(' ')}`,
          await actor.client.store(set, change, flags),
        );
      }),
    },
    {
      weight: 10,
      item: onMessages(async (actor, set) => said(`expunge ${set}`, await actor.client.expunge(set))),
    },
    {
      weight: 8,
      item: async (actor) => {
        const name = actor.random.pick(names);
        return said(`create ${name}`, await actor.client.create(name));
      },
    },
    {
      weight: 5,
      item: async (actor) => {
        const [from, to] = [await anyMailbox(actor), actor.random.pick(names)];
        if (from === 'INBOX' && !this.#renameInbox) return 'rename nothing';
        return said(`rename ${from} to ${to}`, await actor.client.rename(from, to));
      },
    },
    {
      weight: 3,
      item: async (actor) => {
        // With everything below it.
        const [from, to] = [
          actor.random.pick(['Work', 'Entwürfe', 'deep', 'deep/a/b']),
          actor.random.pick(names),
        ];
        return said(`rename ${from} to ${to}`, await actor.client.rename(from, to));
      },
    },
    {
      weight: 3,
      item: async (actor) => {
        const [a, b] = [await anyMailbox(actor), await anyMailbox(actor)];
        if (a === b || a === 'INBOX' || b === 'INBOX') return 'swap nothing';
        await actor.client.rename(a, 'between');
        await actor.client.rename(b, a);
        return said(`swap ${a} and ${b}`, await actor.client.rename('between', b));
      },
    },
    {
      weight: 4,
      item: async (actor) => {
        const name = await anyMailbox(actor);
        return said(`delete ${name}`, await actor.client.delete(name));
      },
    },
    {
      weight: 4,
      item: async (actor) => {
        const name = await anyMailbox(actor);
        await actor.client.delete(name);
        const answer = await actor.client.create(name);
        await actor.client.append(name, message(actor));
        return said(`delete and create ${name}`, answer);
      },
    },
    {
      weight: 4,
      item: async (actor) => {
        const name = actor.random.chance(0.5) ? await anyMailbox(actor) : actor.random.pick(names);
        return said(`subscribe ${name}`, await actor.client.subscribe(name));
      },
    },
    {
      weight: 3,
      item: async (actor) => {
        const name = actor.random.chance(0.5) ? await anyMailbox(actor) : actor.random.pick(names);
        return said(`unsubscribe ${name}`, await actor.client.unsubscribe(name));
      },
    },
  ];
}

async function anyMailbox({ client, random }: Actor): Promise<string> {
  const list = (await client.list()).sort();
  return random.chance(0.3) || list.length === 0 ? 'INBOX' : random.pick(list);
}

/** Selects a mailbox and picks some of its messages. */
function onMessages(act: (actor: Actor, set: string) => Promise<string>): Operation {
  return async (actor) => {
    const { client, random } = actor;
    const mailbox = await anyMailbox(actor);
    const selected = await client.select(mailbox);
    if (!selected.ok) return said(`select ${mailbox}`, selected);
    const uids = await client.uids();
    if (uids.length === 0) return `nothing in ${mailbox}`;
    const share = random.pick([0.05, 0.3, 1]);
    const chosen = uids.filter(() => random.chance(share));
    const set = (chosen.length > 0 ? chosen : [random.pick(uids)]).join(',');
    return `${mailbox}: ${await act(actor, set)}`;
  };
}

/** Now and then one that was sent before, byte for byte. */
function message(actor: Actor): Buffer {
  const { random, account } = actor;
  const repeated = actor.sent > 0 && random.chance(0.15);
  const number = repeated ? random.integer(1, actor.sent) : ++actor.sent;
  const text = new Random(`${account} ${number}`);
  const lines = Array.from({ length: text.integer(0, 60) }, () => 'line '.repeat(text.integer(0, 15)).trim());
  return Buffer.from(`From: a@example.org\r\nSubject: ${account} ${number}\r\n\r\n${lines.join('\r\n')}\r\n`);
}

function someFlags(random: Random): string[] {
  return [...systemFlags, ...keywords].filter(() => random.chance(0.25));
}

function said(what: string, answer: Answer): string {
  return answer.ok ? what : `${what}: ${answer.text}`;
}
