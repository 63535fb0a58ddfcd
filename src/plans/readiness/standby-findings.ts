/** Is what the standby holds ours, and can UIDs be pinned there? */
import type { MailServerConfig } from '../../config/index.ts';
import { hasCode } from '../../lib/index.ts';
import type { DoveadmMailboxStatus } from '../../workloads/mail/doveadm/index.ts';
import {
  createProbeMailbox,
  deleteProbeMailbox,
  isProbeMailbox,
  logInFor,
  probeServer,
} from '../../workloads/mail/probe/index.ts';
import { anewProblem } from '../../workloads/mail/standby/index.ts';
import { TIMEOUT_MS } from './bounded.ts';
import { amber, fromError, green, named, red } from './finding.ts';
import type { ReadinessOptions, ReadinessPorts } from './ports.ts';
import { doveadmClient } from './survey.ts';
import type { Finding } from './types.ts';

/** Clocks that differ more are wrong: mail would be dated in the future, logs could not be compared. */
const SKEW_AMBER_MS = 2_000;
const SKEW_RED_MS = 60_000;

/** What a mailbox of the standby is to the replica. `rows` are those of all its accounts. */
export interface Contents {
  readonly ours: number;
  readonly empty: number;
  /** `account/mailbox: why`. */
  readonly foreign: readonly string[];
  readonly foreignMessages: number;
  readonly otherAccounts: number;
}

interface Known {
  readonly uidValidity: number;
  readonly uidNext: number;
}

/** Compares what the standby holds with the replica; an account that the replica never had is somebody else's, and left alone. */
export function compareContents(
  rows: readonly DoveadmMailboxStatus[],
  replica: ReadonlyMap<string, ReadonlyMap<string, Known>>,
): Contents {
  let ours = 0;
  let empty = 0;
  let foreignMessages = 0;
  const foreign: string[] = [];
  const others = new Set<string>();
  for (const { user, mailbox, messages, uidValidity, uidNext } of rows) {
    const account = replica.get(user);
    if (!account) {
      others.add(user);
      continue;
    }
    const known = account.get(mailbox.toUpperCase() === 'INBOX' ? 'INBOX' : mailbox);
    const agrees = known?.uidValidity === uidValidity && uidNext <= known.uidNext;
    if (agrees) ours += 1;
    else if (messages === 0 || isProbeMailbox(mailbox)) empty += 1;
    else {
      foreignMessages += messages;
      const why =
        known === undefined
          ? 'not in the replica'
          : known.uidValidity === uidValidity
            ? `UIDNEXT ${uidNext} is beyond the replica's ${known.uidNext}`
            : `UIDVALIDITY ${uidValidity} is not the replica's ${known.uidValidity}`;
      foreign.push(`${user}/${mailbox}: ${why}`);
    }
  }
  return { ours, empty, foreign, foreignMessages, otherAccounts: others.size };
}

/** Asks the standby's doveadm API for all its mailboxes, in one request. */
export async function contentsFindings(
  ports: ReadinessPorts,
  place: { readonly source: string; readonly target: string; readonly config: MailServerConfig },
  options: ReadinessOptions,
): Promise<Finding[]> {
  const subject = { id: 'standby.contents', title: `${place.target}: empty or ours` };
  if (place.config.doveadm === undefined) {
    return [
      amber(
        subject,
        'cannot be told without the doveadm API',
        `Look with a client whether ${place.target} holds mail that is not of ${place.source}: what is there is kept aside.`,
      ),
    ];
  }
  const client = doveadmClient(place.config, options);
  try {
    const rows = await client.mailboxStatusOfAll(options.signal);
    const replica = await ports.withReader(place.source, async ({ catalog }) => {
      return new Map(
        catalog
          .accounts()
          .map(({ account }) => [
            account,
            new Map(catalog.mailboxes(account).map((row) => [row.name, row as Known])),
          ]),
      );
    });
    return [judgeContents(subject, place, compareContents(rows, replica))];
  } catch (error) {
    if (hasCode(error, 'CATALOG_VAULT_MISSING')) return [];
    return [fromError(subject, error, 'amber')];
  } finally {
    client.close();
  }
}

function judgeContents(
  subject: { id: string; title: string },
  { source, target }: { source: string; target: string },
  contents: Contents,
): Finding {
  const { ours, empty, foreign, foreignMessages, otherAccounts } = contents;
  const besides = otherAccounts === 0 ? '' : `; ${otherAccounts} accounts of others are left alone`;
  if (foreign.length === 0) {
    return green(
      subject,
      ours === 0
        ? `empty${besides}`
        : `${ours} mailboxes agree with the replica, ${empty} are empty${besides}`,
    );
  }
  const found = `${foreign.length} mailboxes with ${foreignMessages} messages are not as in the replica of ${source}: ${named(foreign)}`;
  if (ours > 0) {
    return amber(
      subject,
      `${found}${besides}`,
      `A takeover moves that mail aside, and reports it. Where somebody works on ${target}, stop them; else bring it up again.`,
    );
  }
  return red(
    subject,
    `nothing on it is of the replica; ${found}${besides}`,
    `Check that ${target} is the right server. If it is, remove its mail, or fail over with a reason: that mail is moved aside then.`,
  );
}

/**
 * Tries in a mailbox of its own, in the pair's probe account, whether UIDVALIDITY and UIDs can be set. Nothing is left behind.
 * Without a probe account nothing is written, and it cannot be told.
 */
export async function pinFindings(
  ports: Pick<ReadinessPorts, 'clock' | 'log'>,
  place: {
    readonly server: string;
    readonly config: MailServerConfig;
    readonly probe: ProbeAccount | undefined;
  },
  options: ReadinessOptions,
): Promise<Finding[]> {
  const { server, config, probe } = place;
  const subject = { id: 'standby.pins', title: `${server}: UIDs can be pinned` };
  if (config.doveadm === undefined) {
    return [
      amber(
        subject,
        'there is no doveadm API: UIDs cannot be kept',
        'See the finding about the doveadm API; the certificate will say what was not kept.',
      ),
    ];
  }
  if (probe === undefined) return [amber(subject, ...NOT_TRIED)];
  const wanted = { uidValidity: 1_234_567_890, uid: 4_711, modSeq: '100000' };
  const client = doveadmClient(config, options);
  try {
    const connection = await logInFor(config, {
      ...probe,
      ...ports,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    try {
      const mailbox = await createProbeMailbox(connection, ports.clock);
      try {
        // Its index must be there before: see `pinMailboxes`.
        await connection.select(mailbox);
        await connection.unselect();
        await client.pinMailboxes(
          [
            {
              user: probe.account,
              mailbox,
              uidValidity: wanted.uidValidity,
              minNextUid: wanted.uid,
              minHighestModSeq: wanted.modSeq,
            },
          ],
          options.signal,
        );
        const { uidValidity, uids } = await connection.append(mailbox, [
          { body: Buffer.from('Subject: Understudy probe\r\n\r\nIs this UID kept?\r\n') },
        ]);
        const got = `UIDVALIDITY ${uidValidity}, UID ${uids?.[0]}`;
        if (uidValidity === wanted.uidValidity && uids?.[0] === wanted.uid) {
          await connection.select('INBOX');
          await connection.unselect();
          const problem = await anewProblem(client, probe.account);
          return [
            green(subject, `a message got ${got}, as wanted`),
            ...(problem === undefined ? [] : [anewFinding(server, problem)]),
          ];
        }
        return [
          red(
            subject,
            `wanted UIDVALIDITY ${wanted.uidValidity}, UID ${wanted.uid}; got ${got}`,
            `Look at the log of ${server}; Dovecot 2.3 and 2.4 can do it with every mailbox format that has indexes.`,
          ),
        ];
      } finally {
        await deleteProbeMailbox(connection, mailbox, ports.clock);
      }
    } finally {
      await connection.logout();
    }
  } catch (error) {
    return [fromError(subject, error)];
  } finally {
    client.close();
  }
}

function anewFinding(server: string, problem: string): Finding {
  return amber(
    { id: 'standby.anew', title: `${server}: UIDs of an INBOX can begin anew` },
    `an INBOX on it that got mail of its own is read again by clients after a takeover, for ${problem}`,
    'Give its doveadm access to the mail files: see "A standby with Dovecot 2.4" in docs/guides/taking-over.md. It concerns an INBOX in Maildir.',
  );
}

export interface ProbeAccount {
  readonly account: string;
  readonly secret?: string;
}

const NOT_TRIED: readonly [string, string] = [
  'not tried, for nothing is written without an account that is kept for it',
  'Name one that is on both servers: `pairs.NAME.probe.account`.',
];

/** Stores, removes and receives as a client does; its clock beside ours. Without a probe account nothing is written. */
export async function probeFindings(
  ports: Pick<ReadinessPorts, 'clock' | 'log'>,
  place: {
    readonly role: 'live' | 'standby';
    readonly server: string;
    readonly config: MailServerConfig;
    readonly probe: ProbeAccount | undefined;
  },
  options: ReadinessOptions,
): Promise<Finding[]> {
  const { role, server, config, probe } = place;
  const works = { id: `${role}.probe`, title: `${server}: stores and serves mail` };
  const clock = { id: `${role}.clock`, title: `${server}: its clock agrees with ours` };
  if (probe === undefined) return role === 'live' ? [] : [amber(works, ...NOT_TRIED)];
  const report = await probeServer(config, {
    ...probe,
    ...ports,
    write: true,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const failed = report.steps.find(({ state }) => state === 'failed');
  const findings = [
    failed?.error === undefined
      ? green(
          works,
          `logged in, read, stored and removed as ${probe.account} in ${Math.round(report.elapsedMs)} ms`,
        )
      : red(works, `${failed.name}: ${failed.error.code}: ${failed.error.message}`, failed.error.remedy),
  ];
  if (report.clockSkewMs !== undefined) findings.push(judgeClock(clock, server, report.clockSkewMs));
  return findings;
}

/** `skewMs`: the server's clock minus ours, to about a second. */
export function judgeClock(subject: { id: string; title: string }, server: string, skewMs: number): Finding {
  const by = `${Math.abs(Math.round(skewMs / 1000))} s ${skewMs > 0 ? 'ahead of' : 'behind'} ours`;
  if (Math.abs(skewMs) < SKEW_AMBER_MS) return green(subject, 'within two seconds');
  const remedy = `Let ${server} and this machine follow the same time servers (chrony, systemd-timesyncd).`;
  return Math.abs(skewMs) < SKEW_RED_MS ? amber(subject, by, remedy) : red(subject, by, remedy);
}
