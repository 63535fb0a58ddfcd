/** Tries what was answered against the server, before it is written: log-ins only, nothing is changed. */
import type { MailServerConfig } from '../../config/index.ts';
import { type Clock, messageOf, silentLog, UnderstudyError } from '../../lib/index.ts';

/** One line for each thing tried. */
export interface Trial {
  readonly ok: boolean;
  readonly text: string;
}

/** Never throws: what fails is a line with its remedy. */
export async function tryConnection(server: MailServerConfig, clock: Clock): Promise<readonly Trial[]> {
  const trials: Trial[] = [];
  let accounts = server.accounts?.list.map((account) => account.name) ?? [];
  if (server.doveadm !== undefined) {
    const { url } = server.doveadm;
    await attempt(trials, `doveadm API at ${url}`, async () => {
      const listed = await accountsByDoveadm(server);
      if (server.accounts?.from === 'doveadm') accounts = listed;
      return `answers, ${listed.length} accounts`;
    });
  }
  const account = accounts[0];
  if (account === undefined) return trials;
  await attempt(trials, `IMAP at ${server.host}:${server.imap.port} as ${account}`, async () => {
    await logInAndOut(server, account, clock);
    return 'the log-in works';
  });
  return trials;
}

async function attempt(trials: Trial[], what: string, work: () => Promise<string>): Promise<void> {
  try {
    trials.push({ ok: true, text: `${what}: ${await work()}` });
  } catch (error) {
    const remedy = error instanceof UnderstudyError ? ` (${error.remedy})` : '';
    trials.push({ ok: false, text: `${what}: ${messageOf(error)}${remedy}` });
  }
}

async function accountsByDoveadm(server: MailServerConfig): Promise<string[]> {
  const { DoveadmClient } = await import('../../workloads/mail/doveadm/index.ts');
  const { doveadm } = server;
  if (doveadm === undefined) return [];
  return new DoveadmClient({
    url: doveadm.url,
    apiKey: doveadm.apiKey.reveal(),
    ...(doveadm.ca === undefined ? {} : { caFile: doveadm.ca }),
  }).listUsers();
}

async function logInAndOut(server: MailServerConfig, account: string, clock: Clock): Promise<void> {
  const { ImapConnection } = await import('../../workloads/mail/imap/index.ts');
  const { imap } = server;
  const own = server.accounts?.list.find((entry) => entry.name === account)?.secret;
  const secret = own ?? imap.masterSecret;
  const connection = await ImapConnection.connect({
    host: server.host,
    port: imap.port,
    security: imap.security,
    tls: {
      insecure: imap.insecureSkipVerify,
      ...(imap.ca === undefined ? {} : { caFile: imap.ca }),
      ...(imap.servername === undefined ? {} : { servername: imap.servername }),
    },
    auth: {
      account,
      secret: secret?.reveal() ?? '',
      ...(own !== undefined || imap.masterUser === undefined ? {} : { authUser: imap.masterUser }),
      ...(imap.separator === undefined ? {} : { separator: imap.separator }),
    },
    clock,
    log: silentLog,
  });
  await connection.logout();
}
