/**
 * Sessions of people on a server, by its doveadm API. `kick` answers differently where nobody has a session: Dovecot 2.3 with exit code 68, 2.4
 * with a count of 0. Both take one user mask per command: several are an error of usage to 2.3, and end the connection of 2.4.
 */
import { type Config, serverNamed } from '../../config/index.ts';
import { type Clock, hasCode, messageOf, UnderstudyError } from '../../lib/index.ts';
import type { SessionsPort, Unable } from '../../plans/mail/index.ts';
import {
  DoveadmClient,
  type DoveadmCommand,
  type DoveadmResult,
} from '../../workloads/mail/doveadm/index.ts';

/** sysexits.h has no name for it: `DOVEADM_EX_NOTFOUND`. */
const NOT_FOUND = 68;

/** Valid as a mask, and nobody's name: `.invalid` is reserved (RFC 6761, 6.4). */
const NOBODY = 'nobody@understudy.invalid';

const ASK_WITHIN_MS = 5_000;

const whoHasSessions: DoveadmCommand = { name: 'who', parameters: {} };
const kick = (mask: string): DoveadmCommand => ({ name: 'kick', parameters: { mask: [mask] } });

export function sessionsOf(config: Config, clock: Clock): SessionsPort {
  /** What cannot be done is an answer, for people are not to wait for it; only the caller's own abort is thrown. */
  const asking = async <T>(
    server: string,
    { signal, withinMs = ASK_WITHIN_MS }: { readonly signal?: AbortSignal; readonly withinMs?: number },
    ask: (client: DoveadmClient, signal: AbortSignal) => Promise<T | Unable>,
  ): Promise<T | Unable> => {
    const { doveadm } = serverNamed(config, server);
    if (doveadm === undefined) {
      return {
        why: `${server} has no doveadm API in the configuration`,
        remedy: `Where it is Dovecot, add \`doveadm\` to servers.${server}.`,
      };
    }
    const late = new AbortController();
    const timer = new AbortController();
    clock.sleep(withinMs, timer.signal).then(
      () => late.abort(new Error(`no answer within ${withinMs} ms`)),
      () => {}, // It answered.
    );
    let client: DoveadmClient | undefined;
    try {
      client = new DoveadmClient({
        url: doveadm.url,
        apiKey: doveadm.apiKey.reveal(),
        ...(doveadm.ca === undefined ? {} : { caFile: doveadm.ca }),
      });
      return await ask(client, signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]));
    } catch (error) {
      signal?.throwIfAborted();
      const why = late.signal.aborted ? messageOf(late.signal.reason) : messageOf(error);
      return {
        why: `the doveadm API of ${server}: ${why}`,
        remedy: error instanceof UnderstudyError ? error.remedy : 'See the message.',
      };
    } finally {
      timer.abort();
      client?.close();
    }
  };
  return {
    who: (server, options = {}) =>
      asking(server, options, async (client, signal) => {
        const [result] = await client.run([whoHasSessions], signal);
        const sessions = sessionsIn(result);
        return sessions === undefined ? refused(server, 'who', result) : { accounts: accountsOf(sessions) };
      }),
    canEnd: (server, options = {}) =>
      asking(server, options, async (client, signal) => {
        const [result] = await client.run([kick(NOBODY)], signal);
        return endedBy(result) === undefined ? refused(server, 'kick', result) : { accounts: [] };
      }),
    end: (server, options = {}) =>
      asking(server, options, async (client, signal) => {
        const { accounts } = options;
        const kicks = accounts === undefined ? [kick('*')] : accounts.map(kick);
        // In one request: whoever comes between the two would be ended without being told of.
        const results = await client
          .run([whoHasSessions, ...kicks, whoHasSessions], signal)
          .catch((error: unknown) => refusedAlone(client, signal, error));
        const [before, after] = [results[0], results.at(-1)].map(sessionsIn);
        const answers = results.slice(1, -1);
        const failed = answers.find((answer) => endedBy(answer) === undefined);
        if (failed !== undefined) return refused(server, 'kick', failed);
        const ended = answers.reduce((sum, answer) => sum + (endedBy(answer) ?? 0), 0);
        const wanted = accounts === undefined ? undefined : new Set(accounts);
        const mine = (sessions: readonly Session[] = []) =>
          sessions.filter(({ account }) => wanted?.has(account) ?? true);
        // Where the API's own user may not end the processes, Dovecot 2.3 says that there was nobody.
        const still = new Set(mine(after).map(({ key }) => key));
        const staying = ended > 0 ? [] : mine(before).filter(({ key }) => still.has(key));
        if (staying.length > 0) {
          return {
            why: `${server} says that it ended no session, and ${staying[0]?.account} still has one`,
            remedy: 'Let `service doveadm` of Dovecot run as root, which may end the sessions of everybody.',
          };
        }
        return before === undefined ? {} : { accounts: accountsOf(mine(before)) };
      }),
  };
}

interface Session {
  readonly account: string;
  /** The same only while it is the same processes. */
  readonly key: string;
}

function sessionsIn(result: DoveadmResult | undefined): readonly Session[] | undefined {
  if (!result?.ok || !Array.isArray(result.rows)) return undefined;
  const rows = result.rows as readonly { readonly username?: string; readonly pids?: string }[];
  return rows.flatMap(({ username, pids }) =>
    username ? [{ account: username, key: `${username} ${pids ?? ''}` }] : [],
  );
}

function accountsOf(sessions: readonly Session[]): readonly string[] {
  return [...new Set(sessions.map(({ account }) => account))].sort();
}

/** Dovecot 2.3 leaves out a comma where a command of several is not allowed, so that the answer is no JSON: one alone tells. @throws `error` otherwise */
async function refusedAlone(
  client: DoveadmClient,
  signal: AbortSignal,
  error: unknown,
): Promise<readonly DoveadmResult[]> {
  if (!hasCode(error, 'MAIL_DOVEADM_PROTOCOL_ERROR')) throw error;
  const [result] = await client.run([kick(NOBODY)], signal);
  if (result === undefined || endedBy(result) !== undefined) throw error;
  return [result, result, result];
}

/** How many it says that it ended (2.3: users, 2.4: sessions); undefined where it could not. */
function endedBy(result: DoveadmResult | undefined): number | undefined {
  if (result === undefined) return undefined;
  if (!result.ok) return result.exitCode === NOT_FOUND ? 0 : undefined;
  const rows = Array.isArray(result.rows) ? (result.rows as readonly { readonly count?: string }[]) : [];
  return rows.reduce((sum, { count }) => sum + (count === undefined ? 1 : Number(count)), 0);
}

function refused(server: string, command: string, result: DoveadmResult | undefined): Unable {
  const answer = result === undefined || result.ok ? 'no answer' : `${result.type} ${result.exitCode}`;
  return {
    why: `the doveadm API of ${server} does not do \`${command}\` (${answer})`,
    remedy: `Allow \`${command}\` to the API key: doveadm_allowed_commands of Dovecot, where it is set, must name it.`,
  };
}
