/**
 * The near-line service of the demonstration: a configuration like anybody's, and `understudy run` as a process of
 * its own, asked over its HTTP API.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Outputs } from '../api/index.ts';
import type { Clock } from '../lib/index.ts';
import { nodeCommand } from './commands.ts';
import type { Slapd } from './directory/index.ts';
import {
  type Dovecot,
  freePort,
  freshLoopbackAddress,
  type ProcessGroup,
  startProcessGroup,
} from './dovecot/index.ts';
import { demoErrors } from './errors.ts';

export const SERVER = 'mail-a';
export const STANDBY = 'mail-b';
export const PAIR = 'mail';
/** Longest wait of the mail server for the journal; then it is let go on and counted. */
export const PUSH_TIMEOUT_MS = 3_000;

const UP_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 10_000;
const USUAL_PORT = 7700;

/** An address for the service, chosen before it runs, since the mail server's push script names it. */
export async function chooseListenAddress(): Promise<string> {
  const address = await freshLoopbackAddress([USUAL_PORT]);
  return address === undefined ? `127.0.0.1:${await freePort()}` : `${address}:${USUAL_PORT}`;
}

export function pushUrl(listen: string, server = SERVER): string {
  return `http://${listen}/push/${server}`;
}

/** What the second act adds to the configuration. */
export interface TakeOverSetting {
  readonly standby: Dovecot;
  readonly directory: Slapd;
  readonly door: Door;
}

/** Where clients connect for ever. */
export interface Door {
  readonly address: string;
  readonly imapPort: number;
  readonly lmtpPort: number;
}

/** Writes understudy.yaml and the secrets beside it. May be repeated. */
export function writeConfiguration(
  folder: string,
  listen: string,
  live: Dovecot,
  setting?: TakeOverSetting,
): void {
  const secret = (name: string, text: string) =>
    writeFileSync(join(folder, name), `${text}\n`, { mode: 0o600 });
  secret('master-secret', live.masterSecret);
  secret('doveadm-key', live.doveadmKey);
  if (setting) secret('directory-secret', setting.directory.bindSecret);
  const server = (name: string, dovecot: Dovecot, more: string) => `  ${name}:
    workload: mail
    host: ${dovecot.address}
    imap:
      port: ${dovecot.imapPort}
      security: none
      masterUser: ${dovecot.masterUser}
      masterSecret: "\${file:master-secret}"
      separator: "*"
    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: "\${file:doveadm-key}" }
    services: { lmtp: ${dovecot.lmtpPort} }
    # The server says itself what changes, and waits until the journal has it.
    push: { mode: synchronous, timeout: ${PUSH_TIMEOUT_MS}ms }
    # What no push tells (files removed on disk) is found by the sweep.
    shadow: { sweep: 2s, watch: 0, burst: { least: 20 } }
${more}`;
  const accounts = setting ? '{ from: directory }' : `{ list: [${live.accounts.join(', ')}] }`;
  const parts = [
    `site: demo\ndataDir: data\napi: { listen: "${listen}" }\nservers:\n`,
    server(SERVER, live, `    accounts: ${accounts}\n`),
  ];
  if (setting) {
    const { standby, directory, door } = setting;
    parts.push(
      server(STANDBY, standby, ''),
      `directories:
  people:
    kind: ldap
    url: ${directory.url}
    bindDn: ${directory.bindDn}
    bindSecret: "\${file:directory-secret}"
    baseDn: ${directory.baseDn}
pairs:
  ${PAIR}:
    live: ${SERVER}
    standby: ${STANDBY}
    directory: people
    warm: true
    rehome:
      - { kind: proxy, listen: "${door.address}:${door.imapPort}", to: imap }
      - { kind: proxy, listen: "${door.address}:${door.lmtpPort}", to: lmtp }
`,
    );
  }
  writeFileSync(join(folder, 'understudy.yaml'), parts.join(''));
}

export class NearLine {
  readonly url: string;
  readonly #folder: string;
  readonly #group: ProcessGroup;
  readonly #token: string;
  readonly #signal: AbortSignal;

  /** Starts the service and resolves when it answers. Error: DEMO_SERVICE_FAILED. */
  static async start(parts: {
    readonly folder: string;
    readonly entry: URL;
    readonly clock: Clock;
    readonly signal: AbortSignal;
    /** Told as soon as there is a process, how to end it. */
    readonly begun: (stop: () => Promise<void>) => void;
  }): Promise<NearLine> {
    const { folder, clock, signal } = parts;
    mkdirSync(join(folder, 'data'), { mode: 0o700, recursive: true });
    const [node, ...args] = nodeCommand(parts.entry);
    const group = startProcessGroup(node, [...args, 'run'], {
      cwd: folder,
      logFile: join(folder, 'service.log'),
    });
    parts.begun(() => group.stop({ graceMs: STOP_WITHIN_MS }));
    const deadline = clock.monotonicMs() + UP_WITHIN_MS;
    for (;;) {
      signal.throwIfAborted();
      const note = noteOf(folder);
      if (note !== undefined) return new NearLine(folder, group, note.url, signal);
      const ended = group.ended();
      if (ended !== undefined) throw failed(`it ended with ${ended}`, group);
      if (clock.monotonicMs() > deadline) throw failed(`no answer within ${UP_WITHIN_MS / 1000} s`, group);
      await clock.sleep(20, signal);
    }
  }

  private constructor(folder: string, group: ProcessGroup, url: string, signal: AbortSignal) {
    this.#folder = folder;
    this.#group = group;
    this.#signal = signal;
    this.url = url;
    this.#token = readFileSync(join(folder, 'data', 'api-token'), 'utf8').trim();
  }

  /** Ends it as an operator does. May be repeated. */
  stop(): Promise<void> {
    return this.#group.stop({ graceMs: STOP_WITHIN_MS });
  }

  /** The part of `status` that is about the pair. */
  async pairStatus(): Promise<Outputs['status']['pairs'][number]> {
    const { pairs } = (await this.#operate('status', {})) as Outputs['status'];
    const [pair] = pairs;
    if (pair === undefined) throw failed('its status names no pair', this.#group);
    return pair;
  }

  /** The one server's part of `status`. */
  async status(): Promise<Outputs['status']['servers'][number]> {
    const { servers } = (await this.#operate('status', {})) as Outputs['status'];
    const [server] = servers;
    if (server === undefined) throw failed('its status names no server', this.#group);
    return server;
  }

  async search(input: { account: string; search: string; at: string }): Promise<Outputs['history']> {
    return (await this.#operate('history', { server: SERVER, ...input })) as Outputs['history'];
  }

  /** Pushed events that the mail server was let go on with before the journal had them. */
  async unprotected(): Promise<number> {
    const answer = await fetch(`${this.url}/metrics`, { signal: this.#signal });
    const found = /^understudy_push_fail_open_total\{[^}]*\} (\d+)/m.exec(await answer.text());
    return Number(found?.[1] ?? 0);
  }

  /** Size of the journal on disk. */
  journalBytes(): number {
    const folder = join(this.#folder, 'data', SERVER, 'journal');
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  }

  /** The error for something that the service did not get done; with the end of its log. */
  failure(why: string) {
    return failed(why, this.#group);
  }

  async #operate(name: string, input: object): Promise<unknown> {
    const answer = await fetch(`${this.url}/api/v1/${name}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      body: JSON.stringify(input),
      signal: this.#signal,
    });
    if (answer.status === 200) return answer.json();
    throw failed(`${name} answers ${answer.status}: ${await answer.text()}`, this.#group);
  }
}

function noteOf(folder: string): { readonly url: string } | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'data', 'service.json'), 'utf8'));
  } catch {
    // Not written yet, or half of it.
    return undefined;
  }
}

function failed(why: string, group: ProcessGroup) {
  const log = group.stderr().trimEnd().split('\n').slice(-5).join('\n');
  return demoErrors.make('DEMO_SERVICE_FAILED', `the near-line service: ${why}\n${log}`);
}
