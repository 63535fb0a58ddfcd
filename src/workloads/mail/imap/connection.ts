/**
 * One logged-in IMAP connection: our own client, because bodies by the hundred thousand must pass at the speed of
 * the socket, each in one buffer, with memory bounded whatever the server sends.
 *
 * Errors are `MAIL_…` (see `../errors.ts`). After MAIL_CONNECTION_LOST, MAIL_NO_ANSWER, MAIL_UNAVAILABLE or
 * MAIL_PROTOCOL_ERROR the connection is of no more use (`failure` is set): make another one.
 */
import type { UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import { type AppendMessage, type AppendResult, appendMessages } from './append.ts';
import { eventOf, type ImapEvent } from './events.ts';
import { type FetchHandler, type FetchItems, type FetchOptions, fetchMessages } from './fetch.ts';
import { type IdleSession, startIdle } from './idle.ts';
import { logIn } from './login.ts';
import {
  learnGuidItem,
  listMailboxes,
  listSubscriptions,
  type MailboxListing,
  mailboxPart,
  mailboxStatus,
} from './mailbox-list.ts';
import type { ImapConnectOptions, ServerTraits } from './options.ts';
import type { MailboxStatus, NamespaceEntry } from './responses.ts';
import { type KnownState, openMailbox, type SelectedMailbox } from './select.ts';
import { formatSequenceSet, parseSequenceSet, rangesOfUids, type UidRange } from './sequence-set.ts';
import type { CommandPart, Wire } from './wire.ts';

/** A set of UIDs: ranges, or a sequence-set as text (`1:3,7`). */
export type UidSet = readonly UidRange[] | string;

export interface Namespaces {
  readonly personal: readonly NamespaceEntry[];
  readonly others: readonly NamespaceEntry[];
  readonly shared: readonly NamespaceEntry[];
}

/** COPYUID (RFC 4315): what became of each UID. Empty when the server does not tell. */
export interface CopyResult {
  readonly uidValidity?: number;
  readonly from: readonly UidRange[];
  readonly to: readonly UidRange[];
}

const RENEW_IDLE_MS = 9 * 60_000;

export class ImapConnection {
  readonly #wire: Wire;
  readonly #traits: ServerTraits;
  readonly #enabled = new Set<string>();
  #selected: SelectedMailbox | undefined;

  /**
   * Connects, secures and logs in. Errors: MAIL_UNREACHABLE, MAIL_NO_ANSWER, MAIL_UNAVAILABLE, MAIL_TLS_…,
   * MAIL_LOGIN_DISABLED, MAIL_AUTH_FAILED, MAIL_SECRET_EXPIRED, MAIL_ACCOUNT_REFUSED, MAIL_PROTOCOL_ERROR.
   */
  static async connect(options: ImapConnectOptions): Promise<ImapConnection> {
    return new ImapConnection(await logIn(options), options.traits ?? {});
  }

  private constructor(wire: Wire, traits: ServerTraits) {
    this.#wire = wire;
    this.#traits = traits;
  }

  /** Receives what the server says unasked, in IDLE, under NOTIFY, or beside answers. One listener. */
  set onEvent(listener: (event: ImapEvent) => void) {
    this.#wire.onEvent = (response) => {
      const event = eventOf(response);
      if (event) listener(event);
    };
  }

  /** Upper case, as of now. */
  get capabilities(): ReadonlySet<string> {
    return this.#wire.capabilities;
  }

  has(capability: string): boolean {
    return this.#wire.has(capability);
  }

  /** What ENABLE switched on here. */
  get enabled(): ReadonlySet<string> {
    return this.#enabled;
  }

  get selected(): SelectedMailbox | undefined {
    return this.#selected;
  }

  /** Why the connection has ended; undefined while it lives. */
  get failure(): UnderstudyError | undefined {
    return this.#wire.failure;
  }

  /** Resolves with the reason when the connection has ended, by whomever. */
  get closed(): Promise<UnderstudyError> {
    return this.#wire.closed;
  }

  /** What the server calls a message's own id; asked once per server (see `ServerTraits`). */
  guidItem(): Promise<ServerTraits['guidItem']> {
    return learnGuidItem(this.#wire, this.#traits);
  }

  /** Switches on those of `extensions` that the server offers (RFC 5161); gives what is on now. */
  async enable(...extensions: string[]): Promise<ReadonlySet<string>> {
    const wanted = extensions.filter((name) => this.has(name) && !this.#enabled.has(name));
    if (wanted.length > 0 && this.has('ENABLE')) {
      await this.#wire.ok('ENABLE', [`ENABLE ${wanted.join(' ')}`], {
        take: (response) => {
          if (response.type !== 'enabled') return false;
          for (const name of response.names) this.#enabled.add(name);
          return true;
        },
      });
    }
    return this.#enabled;
  }

  /**
   * Every mailbox, by default with its status; one round trip where the server can. `ids`: whoever needs the mailboxes' own ids can
   * bear that this connection breaks over them, once per server (see `ServerTraits`).
   */
  listMailboxes({
    status = true,
    ids = false,
  }: {
    status?: boolean;
    ids?: boolean;
  } = {}): Promise<MailboxListing[]> {
    const mayOpen = ids && this.#selected === undefined;
    return listMailboxes(this.#wire, this.#traits, { status, mayOpen });
  }

  /** All subscribed names, sorted; names without a mailbox too. */
  listSubscriptions(): Promise<string[]> {
    return listSubscriptions(this.#wire);
  }

  /** Error MAIL_MAILBOX_ABSENT or MAIL_COMMAND_REFUSED when it cannot be told. */
  status(name: string): Promise<MailboxStatus | undefined> {
    return mailboxStatus(this.#wire, this.#traits, name);
  }

  /** Undefined where the server has no NAMESPACE (RFC 2342). */
  async namespaces(): Promise<Namespaces | undefined> {
    if (!this.has('NAMESPACE')) return undefined;
    let found: Namespaces | undefined;
    await this.#wire.ok('NAMESPACE', ['NAMESPACE'], {
      take: (response) => {
        if (response.type !== 'namespace') return false;
        found = { personal: response.personal, others: response.others, shared: response.shared };
        return true;
      },
    });
    return found;
  }

  /** Opens read-only. `since` needs `enable('QRESYNC')` before. */
  examine(name: string, since?: KnownState): Promise<SelectedMailbox> {
    return this.#open(name, true, since);
  }

  select(name: string, since?: KnownState): Promise<SelectedMailbox> {
    return this.#open(name, false, since);
  }

  async #open(name: string, readOnly: boolean, since?: KnownState): Promise<SelectedMailbox> {
    this.#selected = undefined;
    this.#selected = await openMailbox(this.#wire, name, { readOnly, ...(since ? { since } : {}) });
    return this.#selected;
  }

  /** Leaves the mailbox without expunging (RFC 3691); where the server cannot, EXAMINE was read-only and CLOSE does the same. */
  async unselect(): Promise<void> {
    if (!this.#selected) return;
    if (this.has('UNSELECT')) await this.#wire.ok('UNSELECT', ['UNSELECT']);
    else if (this.#selected.readOnly) await this.#wire.ok('CLOSE', ['CLOSE']);
    else return;
    this.#selected = undefined;
  }

  /** See `fetchMessages`: streams, may be pipelined, and the handler's promise holds the server back. */
  fetch(uids: UidSet, items: FetchItems, handle: FetchHandler, options?: FetchOptions): Promise<void> {
    return fetchMessages(this.#wire, this.#traits, rangesFrom(uids), items, handle, options);
  }

  /** UID SEARCH; ascending ranges. `criteria` as in RFC 9051 section 6.4.4: `ALL`, `UNSEEN SINCE 1-Jan-2020`. */
  async search(criteria: string): Promise<UidRange[]> {
    const extended = this.has('ESEARCH') || this.has('IMAP4REV2');
    let numbers: number[] = [];
    let all: string | undefined;
    await this.#wire.ok('UID SEARCH', [`UID SEARCH ${extended ? 'RETURN (ALL) ' : ''}${criteria}`], {
      take: (response) => {
        if (response.type === 'esearch') all = response.all;
        else if (response.type === 'search') numbers = numbers.concat(response.numbers);
        else return false;
        return true;
      },
    });
    if (all !== undefined) return parseSequenceSet(all) ?? [];
    return rangesOfUids(numbers.sort((a, b) => a - b));
  }

  async noop(): Promise<void> {
    await this.#wire.ok('NOOP', ['NOOP']);
  }

  /** Idles until `stop()`; give no other command meanwhile. Errors: MAIL_FEATURE_MISSING without IDLE. */
  async idle(options: { renewMs?: number } = {}): Promise<IdleSession> {
    if (!this.has('IDLE')) throw this.#missing('IDLE');
    return startIdle(this.#wire, options.renewMs ?? RENEW_IDLE_MS);
  }

  /**
   * Asks for events of all personal mailboxes (RFC 5465): new and expunged messages, flags, mailboxes,
   * subscriptions. They come at any time, also in IDLE. Errors: MAIL_FEATURE_MISSING without NOTIFY.
   */
  async notifyPersonal(): Promise<void> {
    if (!this.has('NOTIFY')) throw this.#missing('NOTIFY');
    const events = 'MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange';
    await this.#wire.ok('NOTIFY', [`NOTIFY SET (personal (${events}))`]);
  }

  async notifyNone(): Promise<void> {
    await this.#wire.ok('NOTIFY', ['NOTIFY NONE']);
  }

  /** See `appendMessages`: one command for all where the server has MULTIAPPEND. */
  append(
    mailbox: string,
    messages: readonly AppendMessage[],
    after?: Promise<unknown>,
  ): Promise<AppendResult> {
    return appendMessages(this.#wire, mailbox, messages, after);
  }

  /** `specialUse` is kept only where the server has CREATE-SPECIAL-USE (RFC 6154); true = it was asked for. */
  async create(mailbox: string, specialUse: readonly string[] = []): Promise<boolean> {
    const use = specialUse.length > 0 && this.has('CREATE-SPECIAL-USE');
    const parts: CommandPart[] = ['CREATE ', mailboxPart(mailbox)];
    if (use) parts.push(` (USE (${specialUse.join(' ')}))`);
    await this.#wire.ok(`CREATE ${mailbox}`, parts);
    return use;
  }

  async delete(mailbox: string): Promise<void> {
    await this.#wire.ok(`DELETE ${mailbox}`, ['DELETE ', mailboxPart(mailbox)]);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#wire.ok(`RENAME ${from}`, ['RENAME ', mailboxPart(from), ' ', mailboxPart(to)]);
  }

  async subscribe(mailbox: string): Promise<void> {
    await this.#wire.ok(`SUBSCRIBE ${mailbox}`, ['SUBSCRIBE ', mailboxPart(mailbox)]);
  }

  async unsubscribe(mailbox: string): Promise<void> {
    await this.#wire.ok(`UNSUBSCRIBE ${mailbox}`, ['UNSUBSCRIBE ', mailboxPart(mailbox)]);
  }

  /** `+FLAGS.SILENT`, `-FLAGS.SILENT` or `FLAGS.SILENT` on the selected mailbox. May be repeated. */
  async store(uids: UidSet, change: 'add' | 'remove' | 'set', flags: readonly string[]): Promise<void> {
    const sign = { add: '+', remove: '-', set: '' }[change];
    const set = formatSequenceSet(rangesFrom(uids));
    if (set === '') return;
    await this.#wire.ok('UID STORE', [`UID STORE ${set} ${sign}FLAGS.SILENT (${flags.join(' ')})`]);
  }

  copy(uids: UidSet, mailbox: string): Promise<CopyResult> {
    return this.#copy('UID COPY', uids, mailbox);
  }

  /** Errors: MAIL_FEATURE_MISSING without MOVE (RFC 6851). */
  async move(uids: UidSet, mailbox: string): Promise<CopyResult> {
    if (!this.has('MOVE') && !this.has('IMAP4REV2')) throw this.#missing('MOVE');
    return this.#copy('UID MOVE', uids, mailbox);
  }

  async #copy(command: 'UID COPY' | 'UID MOVE', uids: UidSet, mailbox: string): Promise<CopyResult> {
    const set = formatSequenceSet(rangesFrom(uids));
    if (set === '') return { from: [], to: [] };
    let told: string | undefined;
    // MOVE tells COPYUID in an untagged OK, before the messages vanish (RFC 6851 section 4.3).
    const status = await this.#wire.ok(command, [`${command} ${set} `, mailboxPart(mailbox)], {
      take: (response) => {
        if (response.type !== 'status' || response.code?.name !== 'COPYUID') return false;
        told = response.code.value;
        return true;
      },
    });
    if (status.code?.name === 'COPYUID') told = status.code.value;
    const [validity, from, to] = told?.split(' ') ?? [];
    if (validity === undefined || from === undefined || to === undefined) return { from: [], to: [] };
    return {
      uidValidity: Number(validity),
      from: parseSequenceSet(from) ?? [],
      to: parseSequenceSet(to) ?? [],
    };
  }

  /** Removes those of `uids` that have \Deleted (RFC 4315). Errors: MAIL_FEATURE_MISSING without UIDPLUS. */
  async expunge(uids: UidSet): Promise<void> {
    if (!this.has('UIDPLUS') && !this.has('IMAP4REV2')) throw this.#missing('UIDPLUS');
    const set = formatSequenceSet(rangesFrom(uids));
    if (set !== '') await this.#wire.ok('UID EXPUNGE', [`UID EXPUNGE ${set}`]);
  }

  /** Gives back the memory of busy times: for a connection that is kept, and may not be used for long. */
  rest(): void {
    this.#wire.rest();
  }

  /** Says LOGOUT, waits at most `withinMs` for the answer, and closes. Never rejects. */
  async logout(withinMs = 2_000): Promise<void> {
    const abort = new AbortController();
    await Promise.race([
      // The connection ends either way; a failure here is that end.
      this.#wire.command('LOGOUT', ['LOGOUT']).catch(() => {}),
      this.#wire.clock.sleep(withinMs, abort.signal).catch(() => {}),
    ]);
    abort.abort();
    this.close();
  }

  /** Ends the connection at once, and everything that waits on it with MAIL_CONNECTION_LOST. May be called twice. */
  close(): void {
    this.#wire.fail(mailErrors.make('MAIL_CONNECTION_LOST', `${this.#wire.place}: closed by us`));
  }

  #missing(capability: string): UnderstudyError {
    return mailErrors.make('MAIL_FEATURE_MISSING', `${this.#wire.place} has no ${capability}`, {
      details: { place: this.#wire.place, capability },
    });
  }
}

function rangesFrom(uids: UidSet): readonly UidRange[] {
  if (typeof uids !== 'string') return uids;
  const ranges = parseSequenceSet(uids);
  if (!ranges) throw new RangeError(`not a set of UIDs: ${uids}`);
  return ranges;
}
