/**
 * What an account really holds, read by an IMAP client that is not ours (imapflow), and a comparison of two such
 * readings. It is the oracle of the tests: nothing of `src/` takes part in it.
 */
import { createHash } from 'node:crypto';
import { type AuthOptions, ImapFlow } from 'imapflow';

export interface ImapLogin {
  host: string;
  port: number;
  user: string;
  pass: string;
  /** Private CA for TLS (IMAPS on `port`). Default: no TLS. */
  ca?: string;
}

export interface DumpedMessage {
  readonly uid: number;
  /** Sorted, without `\Recent`, which belongs to a session. */
  readonly flags: readonly string[];
  /** As the server writes it, with its zone: `17-Jul-2026 02:44:25 +0200`. */
  readonly internalDate: string;
  /** RFC822.SIZE as the server says. */
  readonly size: number;
  /** SHA-256 (hex) of the bytes of `BODY[]`; absent when bodies were not asked for. */
  readonly sha256?: string;
  /** How many bytes `BODY[]` had. */
  readonly bytes?: number;
}

export interface DumpedMailbox {
  readonly uidValidity: number;
  readonly uidNext: number;
  /** `\Sent`, `\Drafts`, …; absent when it has none. */
  readonly specialUse?: string;
  readonly subscribed: boolean;
  /** A name in the hierarchy that holds no messages (`\Noselect`); its numbers are 0. */
  readonly selectable: boolean;
  /** Ascending UIDs. */
  readonly messages: readonly DumpedMessage[];
}

/** Mailbox names are decoded, with the server's own hierarchy separator. */
export type AccountDump = ReadonlyMap<string, DumpedMailbox>;

/** Logs in with imapflow; the caller calls `logout`. For tests that act on a mailbox as a client does. */
export async function connectImap(login: ImapLogin): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: login.host,
    port: login.port,
    secure: login.ca !== undefined,
    ...(login.ca === undefined ? {} : { tls: { ca: login.ca } }),
    auth: { user: login.user, pass: login.pass } satisfies AuthOptions,
    logger: false,
    disableAutoIdle: true,
    disableCompression: true,
  });
  // Without a listener a broken connection would end the test process; the command at work rejects as well.
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Reads everything of an account. `bodies: false` leaves out digests; `mailboxes` limits it to these names, or to those it says yes to. */
export async function dumpAccount(
  login: ImapLogin,
  options: { bodies?: boolean; mailboxes?: readonly string[] | ((name: string) => boolean) } = {},
): Promise<Map<string, DumpedMailbox>> {
  const { mailboxes } = options;
  const wanted = (name: string) =>
    typeof mailboxes === 'function' ? mailboxes(name) : (mailboxes?.includes(name) ?? true);
  const client = await connectImap(login);
  try {
    const dump = new Map<string, DumpedMailbox>();
    // A parent of subscribed names that is not subscribed itself comes as \NoSelect (RFC 3501, 6.3.9).
    const isSubscribed = ({ attributes }: { attributes: string[] }) =>
      !attributes.some((attribute) => /^\\noselect$/i.test(attribute));
    const subscribed = new Set(
      (await list(client, 'LSUB')).filter(isSubscribed).map(({ rawName }) => rawName),
    );
    for (const entry of await list(client, 'LIST')) {
      const name = decodeMailboxName(entry.rawName);
      if (!wanted(name)) continue;
      const use = entry.attributes.find((attribute) => specialUses.has(attribute.toLowerCase()));
      const common = {
        ...(use === undefined ? {} : { specialUse: use }),
        subscribed: subscribed.has(entry.rawName),
      };
      if (entry.attributes.some((attribute) => /^\\(noselect|nonexistent)$/i.test(attribute))) {
        dump.set(name, { ...common, selectable: false, uidValidity: 0, uidNext: 0, messages: [] });
        continue;
      }
      let opened: Awaited<ReturnType<typeof client.mailboxOpen>>;
      try {
        opened = await client.mailboxOpen(name, { readOnly: true });
      } catch (error) {
        // Dovecot's Maildir lists a parent of mailboxes that is gone itself as if it could be opened.
        if (!/mailbox doesn't exist/i.test(String((error as { responseText?: string }).responseText)))
          throw error;
        dump.set(name, { ...common, selectable: false, uidValidity: 0, uidNext: 0, messages: [] });
        continue;
      }
      const messages = await readMessages(client, options.bodies ?? true);
      dump.set(name, {
        ...common,
        selectable: true,
        uidValidity: Number(opened.uidValidity),
        // Courier tells it by STATUS alone.
        uidNext: opened.uidNext ?? (await uidNextOf(client, name)),
        messages,
      });
    }
    return new Map([...dump].sort(([a], [b]) => (a < b ? -1 : 1)));
  } finally {
    await client.logout().catch(() => client.close());
  }
}

async function uidNextOf(client: ImapFlow, name: string): Promise<number> {
  const status = await client.status(name, { uidNext: true });
  if (!status || status.uidNext === undefined) throw new Error(`no UIDNEXT of ${name}`);
  return status.uidNext;
}

export interface CompareOptions {
  /** Properties that may differ. */
  ignore?: readonly (
    | 'uidNext'
    | 'uidValidity'
    | 'subscribed'
    | 'specialUse'
    | 'internalDate'
    | 'uid'
    | 'flags'
  )[];
}

/**
 * Every difference of `actual` against `expected`, one line each, precise enough to find the message; empty when
 * they are equal. With `uid` ignored, messages are paired in their order.
 */
export function compareDumps(
  expected: AccountDump,
  actual: AccountDump,
  options: CompareOptions = {},
): string[] {
  const differences: string[] = [];
  const ignored = new Set<string>(options.ignore ?? []);
  const differ = (where: string, property: string, a: unknown, b: unknown) => {
    if (ignored.has(property) || a === b) return;
    differences.push(`${where}: ${property} expected ${String(a)}, found ${String(b)}`);
  };
  for (const name of new Set([...expected.keys(), ...actual.keys()])) {
    const a = expected.get(name);
    const b = actual.get(name);
    if (!a || !b) {
      differences.push(`mailbox ${name}: ${a ? 'missing' : 'not expected'}`);
      continue;
    }
    for (const property of ['selectable', 'uidValidity', 'uidNext', 'specialUse', 'subscribed'] as const) {
      differ(`mailbox ${name}`, property, a[property], b[property]);
    }
    const key = ({ uid }: DumpedMessage, index: number) => (ignored.has('uid') ? index : uid);
    const found = new Map(b.messages.map((message, index) => [key(message, index), message]));
    for (const [index, message] of a.messages.entries()) {
      const where = `mailbox ${name}, UID ${message.uid}`;
      const other = found.get(key(message, index));
      found.delete(key(message, index));
      if (!other) {
        differences.push(`${where}: missing`);
        continue;
      }
      differ(where, 'flags', message.flags.join(' '), other.flags.join(' '));
      for (const property of ['internalDate', 'size', 'bytes', 'sha256'] as const) {
        if (message[property] !== undefined && other[property] !== undefined) {
          differ(where, property, message[property], other[property]);
        }
      }
    }
    for (const { uid } of found.values()) differences.push(`mailbox ${name}, UID ${uid}: not expected`);
  }
  return differences;
}

const specialUses = new Set(
  ['\\All', '\\Archive', '\\Drafts', '\\Flagged', '\\Junk', '\\Sent', '\\Trash', '\\Important'].map((use) =>
    use.toLowerCase(),
  ),
);

/** A token of a response as imapflow parses it; lists are arrays of tokens. */
type Token = { type: string; value: string | Buffer | null; section?: unknown } | null | Token[];

/** imapflow's own way to send a command; it parses dates and hides names otherwise. */
interface RawCommands {
  exec(
    command: string,
    attributes: object[],
    options: { untagged: Record<string, (response: { attributes: Token[] }) => Promise<void>> },
  ): Promise<{ next(): void }>;
}

async function list(client: ImapFlow, command: 'LIST' | 'LSUB') {
  const entries: { rawName: string; attributes: string[] }[] = [];
  const response = await (client as unknown as RawCommands).exec(
    command,
    [
      { type: 'STRING', value: '' },
      { type: 'STRING', value: '*' },
    ],
    {
      untagged: {
        [command]: async ({ attributes: [attributes, , name] }) => {
          entries.push({
            rawName: textOf(name),
            attributes: Array.isArray(attributes) ? attributes.map(textOf) : [],
          });
        },
      },
    },
  );
  response.next();
  return entries;
}

async function readMessages(client: ImapFlow, bodies: boolean): Promise<DumpedMessage[]> {
  const messages = new Map<number, DumpedMessage>();
  const items = ['UID', 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', ...(bodies ? ['BODY.PEEK'] : [])].map(
    (value) => ({ type: 'ATOM', value, ...(value === 'BODY.PEEK' ? { section: [] } : {}) }),
  );
  const response = await (client as unknown as RawCommands).exec(
    'UID FETCH',
    [{ type: 'SEQUENCE', value: '1:*' }, items],
    {
      untagged: {
        FETCH: async ({ attributes: [, data] }) => {
          if (!Array.isArray(data)) throw new Error('FETCH response without a list');
          const fields = new Map<string, Token>();
          for (let at = 0; at + 1 < data.length; at += 2) {
            fields.set(textOf(data[at]).toUpperCase(), data[at + 1] as Token);
          }
          const body = fields.get('BODY');
          const content = body && !Array.isArray(body) ? bytesOf(body.value) : undefined;
          const flags = fields.get('FLAGS');
          const uid = Number(textOf(fields.get('UID')));
          messages.set(uid, {
            uid,
            flags: (Array.isArray(flags) ? flags.map(textOf) : [])
              .filter((flag) => flag.toLowerCase() !== '\\recent')
              .sort(),
            internalDate: textOf(fields.get('INTERNALDATE')),
            size: Number(textOf(fields.get('RFC822.SIZE'))),
            ...(bodies && content
              ? { sha256: createHash('sha256').update(content).digest('hex'), bytes: content.length }
              : {}),
          });
        },
      },
    },
  );
  response.next();
  if (bodies) {
    const without = [...messages.values()].find((message) => message.sha256 === undefined);
    if (without) throw new Error(`no BODY[] for UID ${without.uid}`);
  }
  return [...messages.values()].sort((a, b) => a.uid - b.uid);
}

function textOf(token: Token | undefined): string {
  if (!token || Array.isArray(token)) return '';
  return typeof token.value === 'string' ? token.value : (token.value?.toString('latin1') ?? '');
}

function bytesOf(value: string | Buffer | null): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'latin1') : (value ?? Buffer.alloc(0));
}

/** Modified UTF-7 (RFC 3501, 5.1.3). */
export function decodeMailboxName(raw: string): string {
  return raw.replace(/&([A-Za-z0-9+,]*)-/g, (_, base64: string) =>
    base64 === '' ? '&' : Buffer.from(base64.replaceAll(',', '/'), 'base64').swap16().toString('utf16le'),
  );
}
