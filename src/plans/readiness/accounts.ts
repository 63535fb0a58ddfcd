/** Which accounts a pair is about, and whether the standby has them. */
import type { Directory } from '../../directory/index.ts';
import { hasCode } from '../../lib/index.ts';
import { amber, fromError, green, NOT_TRIED, named, red } from './finding.ts';
import type { ReadinessOptions, ReadinessPorts } from './ports.ts';
import { doveadmClient, type Survey } from './survey.ts';
import type { Finding } from './types.ts';

/** Dovecot's exit code for a user that it does not know (sysexits.h EX_NOUSER). */
const NO_SUCH_USER = 67;
/** So many accounts that a userdb did not list are asked for by name. */
const ASKED_BY_NAME_MOST = 2_000;

/** Accounts of a server's replica, the largest first; none where there is no replica. Errors: JOURNAL_… */
export async function accountsOfReplica(
  ports: Pick<ReadinessPorts, 'withReader'>,
  server: string,
): Promise<readonly string[]> {
  try {
    return await ports.withReader(server, async ({ catalog }) =>
      catalog
        .accounts()
        .filter(({ goneLsn }) => goneLsn === undefined)
        .sort((a, b) => b.messageCount - a.messageCount)
        .map(({ account }) => account),
    );
  } catch (error) {
    if (hasCode(error, 'CATALOG_VAULT_MISSING')) return [];
    throw error;
  }
}

/** Does the standby know every account? By its doveadm API; without one, by those that were tried. */
export async function accountFindings(
  accounts: readonly string[],
  { server, config, doveadm, logins }: Survey,
  options: ReadinessOptions,
): Promise<Finding[]> {
  const subject = { id: 'standby.accounts', title: `${server}: has the accounts` };
  if (accounts.length === 0) return [];
  if (doveadm?.users === undefined) {
    const refused = [...logins].filter(
      ([account, { error }]) => error !== undefined && accounts.includes(account),
    );
    if (refused.length > 0 || logins.size === 0) return [];
    if (accounts.every((account) => logins.has(account))) {
      return [green(subject, `all ${accounts.length} accounts`)];
    }
    return [
      amber(
        subject,
        `only ${logins.size} of ${accounts.length} accounts were tried`,
        'Nothing to do where both servers ask the same directory; with the doveadm API all are looked for.',
      ),
    ];
  }
  const { users } = doveadm;
  const unlisted = accounts.filter((account) => !users.has(account));
  if (unlisted.length === 0) return [green(subject, `all ${accounts.length} accounts`)];
  // A userdb may know users that it does not list: LDAP without an iterate filter, a wildcard.
  const client = doveadmClient(config, options);
  try {
    const asked = unlisted.slice(0, ASKED_BY_NAME_MOST);
    const results = await client.run(
      asked.map((account) => ({ name: 'user', parameters: { userMask: [account] } })),
      options.signal,
    );
    const missing = asked.filter((account, index) => {
      const result = results[index];
      if (result === undefined) return true;
      return result.ok ? !isKnown(result.rows, account) : result.exitCode === NO_SUCH_USER;
    });
    if (missing.length === 0) return [green(subject, `all ${accounts.length} accounts`)];
    return [
      red(
        subject,
        `${missing.length} of ${accounts.length} accounts are unknown to ${server}: ${named(missing)}`,
        `Create them on ${server}, or let it take its users from where the live server does.`,
      ),
    ];
  } catch (error) {
    return [fromError(subject, error, 'amber')];
  } finally {
    client.close();
  }
}

/** `{"user0001": {"uid": …}}`; for a user that is not known the value is empty, or has an error. */
function isKnown(rows: unknown, account: string): boolean {
  const entry = (rows as Record<string, unknown> | null)?.[account];
  return typeof entry === 'object' && entry !== null && Object.keys(entry).length > 0 && !('error' in entry);
}

/** Is the directory there, does it bind the accounts to the live server, and may we write? */
export async function directoryFindings(
  place: {
    readonly name: string | undefined;
    readonly open: () => Promise<Directory | undefined>;
    readonly accounts: readonly string[];
    /** They alone are to be moved: it does not do that others are bound. */
    readonly only?: boolean;
    readonly liveHost: string;
    readonly standbyHost: string;
    readonly hasRehome: boolean;
    /** False: the right to write is not tried, for that is writing. Default: true. */
    readonly write?: boolean;
  },
  options: ReadinessOptions,
): Promise<Finding[]> {
  const answers = { id: 'directory.answers', title: 'the directory answers' };
  const bound = { id: 'directory.bound', title: 'accounts are bound to the live server' };
  const rights = { id: 'directory.rights', title: 'the directory may be written to' };
  if (place.name === undefined) {
    if (place.hasRehome) return [];
    return [
      amber(
        answers,
        'the pair names no directory and no rehoming: nothing would lead people to the standby',
        'Name `directory`, or an entry of `rehome`, in the pair.',
      ),
    ];
  }
  let directory: Directory | undefined;
  let here: readonly string[];
  let there: readonly string[];
  try {
    directory = await place.open();
    if (directory === undefined) return [];
    [here, there] = await Promise.all([
      directory.listAccounts(place.liveHost, options.signal),
      directory.listAccounts(place.standbyHost, options.signal),
    ]);
  } catch (error) {
    return [fromError(answers, error)];
  }
  const findings = [green(answers, `${place.name}: ${here.length} accounts on ${place.liveHost}`)];
  const bindings = new Set(here);
  const others = new Set(there);
  const elsewhere = place.accounts.filter((account) => !bindings.has(account));
  const already = elsewhere.filter((account) => others.has(account));
  const moves = place.only ? place.accounts.length - elsewhere.length : here.length;
  if (moves === 0) {
    findings.push(
      red(
        bound,
        `${place.only ? `none of ${named(place.accounts)}` : 'no account'} is bound to ${place.liveHost}: nobody would be bound anew`,
        'Check `serverAttribute` and `accountFilter` of the directory, and that the attribute holds exactly the `host` of the server.',
      ),
    );
  } else if (elsewhere.length > 0) {
    findings.push(
      amber(
        bound,
        `${elsewhere.length} followed accounts are not bound to ${place.liveHost}${already.length > 0 ? `, ${already.length} of them to ${place.standbyHost}` : ''}: ${named(elsewhere)}`,
        'Bind them in the directory, or leave them out with `accounts.exclude`: a plan does not rebind them.',
      ),
    );
  } else findings.push(green(bound, `${here.length} accounts are bound to ${place.liveHost}`));
  if (place.write === false) return [...findings, amber(rights, ...NOT_TRIED)];
  try {
    await directory.tryWrite(options.signal);
    findings.push(green(rights, 'wrote to an entry what it says already'));
  } catch (error) {
    findings.push(fromError(rights, error));
  }
  return findings;
}
