/**
 * The doveadm HTTP API of Dovecot 2.3 and 2.4 (https://doc.dovecot.org/2.3/admin_manual/doveadm_http_api/): one POST holds a list of
 * `[command, parameters, tag]`, the answer a list of `["doveadmResponse" | "error", result, tag]`.
 *
 * Dovecot 2.3 serves one POST per process, and that process stays the user of the first command that named one.
 * So commands over all users go alone in their POST, and a POST mixes no users where that matters.
 */
import { messageOf, type UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import { JsonPoster } from './http-post.ts';

export interface DoveadmOptions {
  /** `http://host:8080/doveadm/v1` */
  readonly url: string;
  readonly apiKey: string;
  /** PEM file of the authority behind an https URL; absent = the system's. */
  readonly caFile?: string;
  /** The certificate is not verified; only when the configuration says so. */
  readonly insecure?: boolean;
  /** Without any byte of an answer. Default 60,000; a command over all users of a large server takes long. */
  readonly timeoutMs?: number;
}

export interface DoveadmCommand {
  /** As the API spells it: `mailboxStatus`. */
  readonly name: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export type DoveadmResult =
  | { readonly ok: true; readonly rows: unknown }
  /** `exitCode` as in sysexits.h: 67 no such user, 68 no such mailbox, 75 try later, 77 no permission. */
  | { readonly ok: false; readonly type: string; readonly exitCode: number };

/** Whose commands an API has; they are what tells releases apart. */
export type DovecotSeries = '2.3' | '2.4';

/** A mailbox as doveadm tells it; names are Unicode. */
export interface DoveadmMailboxStatus {
  readonly user: string;
  readonly mailbox: string;
  readonly messages: number;
  readonly uidNext: number;
  readonly uidValidity: number;
  /** Decimal. */
  readonly highestModSeq: string;
  readonly guid: string;
}

/**
 * What a mailbox is set to. UIDVALIDITY may go either way; UIDNEXT and HIGHESTMODSEQ only rise, a lower value is
 * ignored by the server. Setting the same again changes nothing.
 */
export interface MailboxPin {
  readonly user: string;
  readonly mailbox: string;
  readonly uidValidity?: number;
  readonly minNextUid?: number;
  readonly minHighestModSeq?: string;
}

const COMMANDS_PER_POST = 200;
const STATUS_FIELDS = ['messages', 'uidnext', 'uidvalidity', 'highestmodseq', 'guid'];

export class DoveadmClient {
  readonly #url: string;
  readonly #poster: JsonPoster;

  /** Errors: MAIL_DOVEADM_UNREACHABLE when `caFile` cannot be read. */
  constructor(options: DoveadmOptions) {
    this.#url = options.url;
    try {
      this.#poster = new JsonPoster({
        url: options.url,
        headers: { authorization: `X-Dovecot-API ${Buffer.from(options.apiKey).toString('base64')}` },
        timeoutMs: options.timeoutMs ?? 60_000,
        caFile: options.caFile,
        insecure: options.insecure,
      });
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  /** Resolves when the API answers and takes the key; changes nothing. Errors: MAIL_DOVEADM_… */
  async check(signal?: AbortSignal): Promise<void> {
    await this.run([], signal);
  }

  /**
   * The release of Dovecot, by the commands that it lists: the first with file commands as this one has them. Undefined where they are others.
   * Errors: MAIL_DOVEADM_UNREACHABLE
   */
  async series(signal?: AbortSignal): Promise<DovecotSeries | undefined> {
    const { status, body } = await this.#poster.get(signal).catch((error: unknown) => {
      throw this.#unreachable(error);
    });
    // Something before the API may let POST through alone.
    return status === 200 ? seriesOf(body) : undefined;
  }

  /** Every user that the server's userdb lists, in no order. */
  async listUsers(signal?: AbortSignal): Promise<string[]> {
    const rows = await this.#one({ name: 'user', parameters: { userMask: ['*'] } }, signal);
    const list = (rows as { userList?: unknown } | undefined)?.userList;
    if (!Array.isArray(list)) throw this.#malformed('user', rows);
    return list.map(String);
  }

  /** Errors: MAIL_DOVEADM_FAILED with exitCode 67 when there is no such user. */
  async mailboxStatus(user: string, signal?: AbortSignal): Promise<DoveadmMailboxStatus[]> {
    return this.#statuses({ user }, signal);
  }

  /** All mailboxes of all users in one request (about 1 ms per user on the server). A user without mailboxes has no row. */
  async mailboxStatusOfAll(signal?: AbortSignal): Promise<DoveadmMailboxStatus[]> {
    return this.#statuses({ allUsers: true }, signal);
  }

  /** The same, user by user: those of whom it cannot be told are left out, where one request for all would fail. */
  async mailboxStatusOfEach(users: readonly string[], signal?: AbortSignal): Promise<DoveadmMailboxStatus[]> {
    const results = await this.run(
      users.map((user) => statusCommand({ user })),
      signal,
    );
    return results.flatMap((result, index) =>
      result.ok ? this.#statusesOf({ user: users[index] }, result.rows) : [],
    );
  }

  async #statuses(whose: Record<string, unknown>, signal?: AbortSignal): Promise<DoveadmMailboxStatus[]> {
    return this.#statusesOf(whose, await this.#one(statusCommand(whose), signal));
  }

  #statusesOf(whose: Record<string, unknown>, rows: unknown): DoveadmMailboxStatus[] {
    if (!Array.isArray(rows)) throw this.#malformed('mailboxStatus', rows);
    return rows.map((row: Record<string, string>) => {
      const {
        username = String(whose['user'] ?? ''),
        mailbox,
        messages,
        uidnext,
        uidvalidity,
        highestmodseq,
        guid,
      } = row;
      if (mailbox === undefined || uidvalidity === undefined) throw this.#malformed('mailboxStatus', row);
      return {
        user: username,
        mailbox,
        messages: Number(messages),
        uidNext: Number(uidnext),
        uidValidity: Number(uidvalidity),
        highestModSeq: highestmodseq ?? '0',
        guid: guid ?? '',
      };
    });
  }

  /**
   * Sets mailboxes so that the next messages get the wanted UIDs; the mailboxes must exist, and have been opened
   * once (a mailbox without an index yet loses the pinned UIDNEXT when that is made). In order; may be repeated.
   * Errors: MAIL_DOVEADM_FAILED for the first that failed; the others of its request may have been done.
   */
  async pinMailboxes(pins: readonly MailboxPin[], signal?: AbortSignal): Promise<void> {
    const commands = pins.map(({ user, mailbox, uidValidity, minNextUid, minHighestModSeq }) => ({
      name: 'mailboxUpdate',
      // The API takes numbers as text only.
      parameters: {
        user,
        mailbox,
        ...(uidValidity === undefined ? {} : { uidValidity: String(uidValidity) }),
        ...(minNextUid === undefined ? {} : { minNextUid: String(minNextUid) }),
        ...(minHighestModSeq === undefined ? {} : { minHighestModseq: minHighestModSeq }),
      },
    }));
    const results = await this.run(commands, signal);
    for (const [index, result] of results.entries()) {
      if (!result.ok) throw this.#failed(commands[index] as DoveadmCommand, result);
    }
  }

  /** Runs commands in order, many per request; a command that fails does not stop those after it. */
  async run(commands: readonly DoveadmCommand[], signal?: AbortSignal): Promise<DoveadmResult[]> {
    const results: DoveadmResult[] = [];
    let start = 0;
    do {
      results.push(...(await this.#post(commands.slice(start, start + COMMANDS_PER_POST), signal)));
      start += COMMANDS_PER_POST;
    } while (start < commands.length);
    return results;
  }

  /** Closes idle connections. */
  close(): void {
    this.#poster.close();
  }

  async #one(command: DoveadmCommand, signal?: AbortSignal): Promise<unknown> {
    const [result] = await this.run([command], signal);
    if (!result) throw this.#malformed(command.name, result);
    if (!result.ok) throw this.#failed(command, result);
    return result.rows;
  }

  async #post(commands: readonly DoveadmCommand[], signal?: AbortSignal): Promise<DoveadmResult[]> {
    const request = commands.map(({ name, parameters }, index) => [name, parameters, String(index)]);
    const { status, body } = await this.#poster.post(request, signal).catch((error: unknown) => {
      throw this.#unreachable(error);
    });
    if (status === 401 || status === 403) {
      throw mailErrors.make('MAIL_DOVEADM_REFUSED', `${this.#url} refuses the key (HTTP ${status})`, {
        details: { url: this.#url, status },
      });
    }
    if (status !== 200) throw this.#malformed(`HTTP ${status}`, body);
    let answers: unknown;
    try {
      answers = JSON.parse(body);
    } catch (error) {
      throw this.#malformed(messageOf(error), body);
    }
    if (!Array.isArray(answers)) throw this.#malformed('not a list', body);
    const byTag = new Map(answers.map((answer: unknown[]) => [answer.at(-1), answer]));
    return commands.map(({ name }, index) => {
      const answer = byTag.get(String(index));
      if (!answer) throw this.#malformed(`no answer to ${name}`, body);
      if (answer[0] === 'doveadmResponse') return { ok: true, rows: rowsOf(answer) };
      const failure = answer[1] as { type?: string; exitCode?: number };
      return { ok: false, type: failure.type ?? 'unknown', exitCode: failure.exitCode ?? 0 };
    });
  }

  #failed(command: DoveadmCommand, result: { type: string; exitCode: number }): UnderstudyError {
    const { user, mailbox } = command.parameters;
    const about = [user, mailbox].filter((part) => part !== undefined).join(' ');
    return mailErrors.make(
      'MAIL_DOVEADM_FAILED',
      `${this.#url}: ${command.name}${about === '' ? '' : ` ${about}`} failed (${result.type} ${result.exitCode})`,
      { details: { url: this.#url, command: command.name, user, mailbox, ...result } },
    );
  }

  #unreachable(error: unknown): UnderstudyError {
    return mailErrors.make('MAIL_DOVEADM_UNREACHABLE', `${this.#url} does not answer: ${messageOf(error)}`, {
      cause: error,
      details: { url: this.#url },
    });
  }

  #malformed(what: string, body: unknown): UnderstudyError {
    const excerpt = (typeof body === 'string' ? body : (JSON.stringify(body) ?? '')).slice(0, 200);
    return mailErrors.make(
      'MAIL_DOVEADM_PROTOCOL_ERROR',
      `${this.#url} answers strangely (${what}): ${excerpt}`,
      {
        details: { url: this.#url, excerpt },
      },
    );
  }
}

/** 2.3 is told the driver of a file system, 2.4 where in its configuration that is. */
function seriesOf(listing: string): DovecotSeries | undefined {
  const parameters = parametersOf(listing, 'fsStat');
  if (parameters.has('fsArgs')) return '2.3';
  return parameters.has('filterName') ? '2.4' : undefined;
}

/** None where it is no listing. */
function parametersOf(listing: string, command: string): ReadonlySet<string> {
  let commands: unknown;
  try {
    commands = JSON.parse(listing);
  } catch {
    return new Set();
  }
  if (!Array.isArray(commands)) return new Set();
  const found = commands.find((one: { command?: unknown }) => one?.command === command);
  const { parameters = [] } = (found ?? {}) as { parameters?: { name: string }[] };
  return new Set(parameters.map(({ name }) => name));
}

/** Dovecot 2.3 closes the list of `who` after its first row; the others follow it. */
function rowsOf(answer: readonly unknown[]): unknown {
  return answer.length > 3 ? answer.slice(1, -1).flat() : answer[1];
}

function statusCommand(whose: Record<string, unknown>): DoveadmCommand {
  return { name: 'mailboxStatus', parameters: { ...whose, field: STATUS_FIELDS, mailboxMask: ['*'] } };
}
