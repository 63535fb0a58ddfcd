/** What a mail server says of itself: asked once, judged by several checks. */
import type { MailServerConfig } from '../../config/index.ts';
import type { Clock, Log } from '../../lib/index.ts';
import { DoveadmClient, type DovecotSeries } from '../../workloads/mail/doveadm/index.ts';
import type { Namespaces } from '../../workloads/mail/imap/index.ts';
import { logInFor } from '../../workloads/mail/probe/index.ts';
import { TIMEOUT_MS } from './bounded.ts';
import type { ReadinessOptions } from './ports.ts';

/** So many accounts are tried by logging in. */
const ACCOUNTS_TRIED = 3;

export interface Survey {
  readonly server: string;
  readonly config: MailServerConfig;
  /** By account: what came of logging in. */
  readonly logins: ReadonlyMap<string, { readonly ms: number; readonly error?: unknown }>;
  /** Of a login that worked. */
  readonly session?: Session;
  /** Absent: the configuration names no doveadm API. */
  readonly doveadm?: {
    readonly error?: unknown;
    readonly users?: ReadonlySet<string>;
    readonly series?: DovecotSeries;
  };
}

export interface Session {
  readonly capabilities: ReadonlySet<string>;
  readonly namespaces: Namespaces | undefined;
  readonly separator: string | null;
  readonly prefix: string;
}

/** Logs in as some of `accounts`, and asks the doveadm API. Changes nothing. Never rejects but with the signal's reason. */
export async function surveyServer(
  place: { readonly server: string; readonly config: MailServerConfig; readonly accounts: readonly string[] },
  tools: { readonly clock: Clock; readonly log: Log },
  options: ReadinessOptions,
): Promise<Survey> {
  const { server, config, accounts } = place;
  let session: Session | undefined;
  const logins = new Map<string, { ms: number; error?: unknown }>();
  const tryLogin = async (account: string) => {
    const began = tools.clock.monotonicMs();
    try {
      const connection = await logInFor(config, {
        account,
        timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
        ...tools,
        ...(options.signal ? { signal: options.signal } : {}),
      });
      try {
        logins.set(account, { ms: tools.clock.monotonicMs() - began });
        const namespaces = await connection.namespaces();
        const inbox = await connection.listMailboxes({ status: false });
        session ??= {
          capabilities: new Set(connection.capabilities),
          namespaces,
          separator: namespaces?.personal[0]?.delimiter ?? inbox[0]?.delimiter ?? null,
          prefix: namespaces?.personal[0]?.prefix ?? '',
        };
      } finally {
        await connection.logout();
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      logins.set(account, { ms: tools.clock.monotonicMs() - began, error });
    }
  };
  const [doveadm] = await Promise.all([
    askDoveadm(config, options),
    ...accounts.slice(0, ACCOUNTS_TRIED).map(tryLogin),
  ]);
  return {
    server,
    config,
    logins,
    ...(session === undefined ? {} : { session }),
    ...(doveadm === undefined ? {} : { doveadm }),
  };
}

async function askDoveadm(config: MailServerConfig, options: ReadinessOptions): Promise<Survey['doveadm']> {
  if (config.doveadm === undefined) return undefined;
  let client: DoveadmClient | undefined;
  try {
    client = doveadmClient(config, options);
    const users = new Set(await client.listUsers(options.signal));
    const series = await client.series(options.signal);
    return { users, ...(series === undefined ? {} : { series }) };
  } catch (error) {
    options.signal?.throwIfAborted();
    return { error };
  } finally {
    client?.close();
  }
}

/** Only for a server whose configuration names the API. Errors: CONFIG_SECRET_MISSING, MAIL_DOVEADM_UNREACHABLE */
export function doveadmClient(config: MailServerConfig, options: ReadinessOptions): DoveadmClient {
  if (config.doveadm === undefined) throw new Error(`${config.host} has no doveadm API`);
  const { url, apiKey, ca } = config.doveadm;
  return new DoveadmClient({
    url,
    apiKey: apiKey.reveal(),
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    ...(ca === undefined ? {} : { caFile: ca }),
  });
}
