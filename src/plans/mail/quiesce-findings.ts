/** What stands against a switchover only: it is planned, so what would be left behind is a reason not to begin. */
import type { Finding } from '../readiness/index.ts';
import { concerned } from './accounts.ts';
import type { TakeOver } from './context.ts';

export async function quiesceFindings(context: TakeOver): Promise<readonly Finding[]> {
  const findings = await Promise.all([sessionsFinding(context), burstsFinding(context)]);
  return findings.flat();
}

async function sessionsFinding({ ports, move, rehomes }: TakeOver): Promise<Finding[]> {
  const answer = await ports.sessions.canEnd(move.from);
  const title = 'old server: sessions can be ended';
  if (!('why' in answer)) {
    return [{ id: 'live.sessions', title, state: 'green', detail: `${move.from} ends them`, remedy: '' }];
  }
  const hasDoor = rehomes.some(({ holds }) => holds);
  return [
    {
      id: 'live.sessions',
      title,
      state: hasDoor ? 'amber' : 'red',
      detail: hasDoor
        ? `${answer.why}; the front door ends those that it leads, others go on`
        : `${answer.why}; who is connected goes on working on ${move.from}, and what they write there is lost`,
      remedy: answer.remedy,
    },
  ];
}

async function burstsFinding(context: TakeOver): Promise<Finding[]> {
  const { ports, move } = context;
  const warm = ports.warm(move.pair);
  // What is held is of the journal of the server that was live.
  if (warm === undefined || ports.config.pairs[move.pair]?.live !== move.from) return [];
  const held = concerned(
    context,
    (await warm.held()).map(({ account }) => account),
  );
  if (held.length === 0) return [];
  return [
    {
      id: 'standby.held',
      title: 'standby: no burst is held back',
      state: 'red',
      detail: `${held.slice(0, 5).join(', ')}${held.length > 5 ? ` and ${held.length - 5} more` : ''} would come up as before a burst of removals, without what came after it`,
      remedy: `If it was meant: understudy standby accept ${move.pair} --account ${held[0]}. Else restore the account first.`,
    },
  ];
}
