/**
 * What has to hold before a plan begins: looked at all at once, since a failover's clock is running. What `check` looks at too has the same
 * id there, and the same judgement, but where the plan itself sets it right.
 */
import { counted } from '../../lib/index.ts';
import type { PreflightOptions } from '../index.ts';
import {
  amber,
  directoryFindings,
  doorFindings,
  type Finding,
  fenceFinding,
  fromError,
  green,
  hookFindings,
  NOT_TRIED,
  warmFindings,
} from '../readiness/index.ts';
import { accountsOf, momentOf } from './accounts.ts';
import type { TakeOver } from './context.ts';
import { takeOverErrors } from './errors.ts';
import { type Loss, lossOf } from './loss.ts';
import { quiesceFindings } from './quiesce-findings.ts';
import { insistOnDecision } from './undecided.ts';

/** A live server that does not answer within this is taken to be gone. */
const ANSWER_WITHIN_MS = 1_000;

export async function failoverFindings(
  context: TakeOver,
  { dryRun }: PreflightOptions,
): Promise<readonly Finding[]> {
  const { parameters, move, subset, pair, ports } = context;
  if (parameters.accounts !== undefined && context.directory === undefined) {
    throw takeOverErrors.make(
      'TAKEOVER_ACCOUNTS_NEED_DIRECTORY',
      `pair ${move.pair} has no directory, so single accounts cannot be moved`,
    );
  }
  await insistOnDecision(context);
  const at = await momentOf(context);
  const accounts = await accountsOf(context, at.lsn);
  if (accounts.length === 0) {
    throw takeOverErrors.make(
      'TAKEOVER_NOTHING_TO_RESTORE',
      `the journal of ${move.from} holds none of the accounts as of lsn:${at.lsn}`,
    );
  }
  const findings = await Promise.all([
    lossFinding(context, accounts.length),
    standbyFinding(context, dryRun),
    fenceFinding(pair, { someAccounts: subset }),
    directoryFindings(
      {
        name: pair.directory,
        open: async () => context.directory,
        accounts,
        only: subset,
        liveHost: context.from.host,
        standbyHost: context.to.host,
        hasRehome: pair.rehome.length > 0,
        write: !dryRun,
      },
      {},
    ),
    subset ? [] : doorFindings(ports, { name: move.pair, pair, acting: move.from, isSetRight: true }),
    subset ? [] : hookFindings(pair),
    liveFinding(context, 'failover'),
    warmFinding(context),
  ]);
  return findings.flat();
}

export async function switchoverFindings(
  context: TakeOver,
  options: PreflightOptions,
): Promise<readonly Finding[]> {
  const findings = await failoverFindings(context, options);
  const own = await Promise.all([liveFinding(context, 'switchover'), quiesceFindings(context)]);
  return [...findings.filter(({ id }) => id !== 'live.answers' && id !== 'live.loss'), ...own.flat()];
}

/** @throws TAKEOVER_NOTHING_TO_RESTORE */
export async function lossNow({ ports, move, from }: TakeOver): Promise<Loss> {
  const lag = await ports.following.lag(move.from);
  const loss = await ports.withReader(move.from, async ({ catalog }) =>
    lossOf(catalog, lag, {
      // A server that nothing follows, or that has not been looked at since that began, was let go on without a commit.
      synchronous: from.push.mode === 'synchronous' && lag?.lastPassAt !== undefined,
      nowMs: ports.clock.wallMs(),
    }),
  );
  if (loss !== undefined) return loss;
  throw takeOverErrors.make('TAKEOVER_NOTHING_TO_RESTORE', `the journal of ${move.from} holds nothing`);
}

async function lossFinding(context: TakeOver, accounts: number): Promise<Finding[]> {
  const loss = await lossNow(context);
  const { parameters, ports, move } = context;
  const findings: Finding[] = [
    {
      id: 'live.loss',
      title: 'what would be lost',
      state: loss.synchronous && loss.unprotectedEvents === 0 && loss.lagMs === 0 ? 'green' : 'amber',
      detail: loss.sentence,
      remedy: loss.synchronous ? '' : 'Synchronous protection makes it nothing: docs/guides/push.md',
    },
  ];
  if (parameters.at !== undefined) {
    const { messages, earlier } = await ports.withReader(move.from, async ({ catalog }) => ({
      messages: catalog.totals().messages,
      earlier: catalog
        .accounts(parameters.at as never)
        .reduce((sum, { messageCount }) => sum + messageCount, 0),
    }));
    findings.push({
      id: 'plan.at',
      title: 'an earlier state',
      state: 'amber',
      detail: `lsn:${parameters.at} has ${counted(earlier, 'message')} in ${counted(accounts, 'account')}; the last state has ${counted(messages, 'message')}: what is newer stays in the journal`,
      remedy: 'Leave --at out for the last state.',
    });
  }
  return findings;
}

async function standbyFinding({ ports, place, move }: TakeOver, dryRun: boolean): Promise<Finding[]> {
  const imap = { id: 'standby.imap', title: `${move.to}: IMAP answers` };
  const pins = { id: 'standby.pins', title: `${move.to}: UIDs can be pinned` };
  try {
    const features = await ports.standby.features(place, { untried: dryRun });
    const answers = green(imap, `${move.to} answers`);
    if (!features.pinUids) {
      const why = features.pinProblem ?? features.notKept.map((kept) => kept.why).join('; ');
      return [
        answers,
        amber(
          pins,
          `UIDs cannot be kept, so clients will download everything again: ${why}`,
          `Where it is Dovecot, give \`servers.${move.to}.doveadm\` its url and apiKey; see: understudy check ${move.pair}`,
        ),
      ];
    }
    return [
      answers,
      dryRun ? amber(pins, ...NOT_TRIED) : green(pins, `${move.to} keeps UIDVALIDITY and UIDs`),
    ];
  } catch (error) {
    return [fromError(imap, error)];
  }
}

async function liveFinding({ ports, move }: TakeOver, kind: 'failover' | 'switchover'): Promise<Finding[]> {
  const answers = await ports.answers(move.from, ANSWER_WITHIN_MS);
  const title = kind === 'failover' ? 'old server: is gone' : 'old server: answers';
  const wrong = answers === (kind === 'failover');
  return [
    {
      id: 'live.answers',
      title,
      state: wrong ? (kind === 'failover' ? 'amber' : 'red') : 'green',
      detail: answers ? `${move.from} answers` : `${move.from} does not answer`,
      remedy: !wrong
        ? ''
        : kind === 'failover'
          ? `Where it can still be read, this loses nothing: understudy switchover ${move.pair}`
          : `If it is lost: understudy failover ${move.pair}`,
    },
  ];
}

async function warmFinding({ ports, move, pair }: TakeOver): Promise<Finding[]> {
  const status = await ports.warm(move.pair)?.status();
  return warmFindings(status, { pair: move.pair, wanted: pair.warm, source: move.from });
}
