/** What has to hold before a plan begins: looked at all at once, since a failover's clock is running. */
import { counted, messageOf, UnderstudyError } from '../../lib/index.ts';
import type { Finding } from '../readiness/index.ts';
import { accountsOf, momentOf } from './accounts.ts';
import type { TakeOver } from './context.ts';
import { takeOverErrors } from './errors.ts';
import { type Loss, lossOf } from './loss.ts';
import { quiesceFindings } from './quiesce-findings.ts';

/** A live server that does not answer within this is taken to be gone. */
const ANSWER_WITHIN_MS = 1_000;

export async function failoverFindings(context: TakeOver): Promise<readonly Finding[]> {
  const { parameters, move } = context;
  if (parameters.accounts !== undefined && context.directory === undefined) {
    throw takeOverErrors.make(
      'TAKEOVER_ACCOUNTS_NEED_DIRECTORY',
      `pair ${move.pair} has no directory, so single accounts cannot be moved`,
    );
  }
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
    standbyFinding(context),
    fenceFinding(context),
    directoryFinding(context),
    doorFinding(context),
    liveFinding(context, 'failover'),
    warmFinding(context),
  ]);
  return findings.flat();
}

export async function switchoverFindings(context: TakeOver): Promise<readonly Finding[]> {
  const findings = await failoverFindings(context);
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

async function standbyFinding({ ports, place, move }: TakeOver): Promise<Finding[]> {
  try {
    const features = await ports.standby.features(place);
    return [
      {
        id: 'standby.answers',
        title: 'standby: answers',
        state: 'green',
        detail: `${move.to} answers`,
        remedy: '',
      },
      {
        id: 'standby.pins',
        title: 'standby: keeps UIDs',
        state: features.pinUids ? 'green' : 'amber',
        detail: features.pinUids
          ? `${move.to} keeps UIDVALIDITY and UIDs`
          : `clients will download again: ${features.pinProblem ?? features.notKept.map(({ why }) => why).join('; ')}`,
        remedy: features.pinUids ? '' : 'Configure doveadm of the standby, where it is Dovecot.',
      },
    ];
  } catch (error) {
    return [red('standby.answers', 'standby: answers', error)];
  }
}

async function fenceFinding({ rehomes, fences, directory, pair, move }: TakeOver): Promise<Finding[]> {
  const ways = [
    ...rehomes.filter(({ holds }) => holds).map(({ name }) => `front door (${name})`),
    ...fences.map(({ name }) => name),
    ...(directory !== undefined && pair.failover.unbind ? ['unbound in the directory'] : []),
  ];
  const title = 'old server: can be fenced';
  if (ways.length > 0) {
    return [{ id: 'fence', title, state: 'green', detail: ways.join(', '), remedy: '' }];
  }
  return [
    {
      id: 'fence',
      title,
      state: 'red',
      detail: `nothing keeps clients off ${move.from}, should it come back: no front door, no fence command, no directory that it is unbound in`,
      remedy:
        'Add a proxy to `rehome`, or a `fence` command, or a `directory` to the pair; or make sure by hand that it stays down, and say so with --reason.',
    },
  ];
}

async function directoryFinding({ directory, pair }: TakeOver): Promise<Finding[]> {
  if (directory === undefined) return [];
  const title = 'directory: can be changed';
  try {
    await directory.tryWrite();
    return [{ id: 'directory.writes', title, state: 'green', detail: pair.directory ?? '', remedy: '' }];
  } catch (error) {
    return [red('directory.writes', title, error)];
  }
}

async function doorFinding({ rehomes }: TakeOver): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const one of rehomes.filter(({ holds }) => holds)) {
    try {
      const state = await one.state();
      findings.push({
        id: 'door',
        title: 'front door: runs',
        state: state === undefined ? 'amber' : 'green',
        detail:
          state === undefined
            ? `${one.name} does not run; the plan starts it`
            : `${one.name} is ${state.mode}${state.mode === 'closed' ? '' : ` to ${state.server}`}`,
        remedy: state === undefined ? 'Start it before, so that clients have it: understudy proxy PAIR' : '',
      });
    } catch (error) {
      findings.push(red('door', 'front door: runs', error));
    }
  }
  return findings;
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

async function warmFinding({ ports, move }: TakeOver): Promise<Finding[]> {
  const status = await ports.warm(move.pair)?.status();
  if (status === undefined || status.source !== move.from) return [];
  const held = status.held.map(({ account }) => account);
  const isWell = status.phase !== 'stalled' && held.length === 0;
  return [
    {
      id: 'standby.warm',
      title: 'standby: warm',
      state: isWell ? 'green' : 'amber',
      detail:
        held.length > 0
          ? `bursts are held back of ${held.slice(0, 5).join(', ')}: those accounts come up as they were before`
          : `${status.phase}, ${status.accountsBehind} accounts behind`,
      remedy: isWell
        ? ''
        : held.length > 0
          ? 'Accept them first where they are meant.'
          : (status.problem?.remedy ?? ''),
    },
  ];
}

function red(id: string, title: string, error: unknown): Finding {
  return {
    id,
    title,
    state: 'red',
    detail: error instanceof UnderstudyError ? `${error.code}: ${error.message}` : messageOf(error),
    remedy: error instanceof UnderstudyError ? error.remedy : 'See the message.',
  };
}
