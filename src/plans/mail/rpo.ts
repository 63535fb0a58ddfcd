/** What a switchover left behind, where it was begun in spite of what it could not read or must not carry over. */
import { counted } from '../../lib/index.ts';
import type { PlanRecord } from '../index.ts';
import { type Memory, recall, type TakeOver } from './context.ts';
import type { Loss } from './loss.ts';

export interface Rpo {
  readonly atMostMs: number;
  readonly sentence: string;
}

const NAMED_AT_MOST = 10;

export async function switchoverRpo(
  { ports, move }: TakeOver,
  record: PlanRecord,
  recalled: <K extends keyof Memory>(key: K) => Memory[K] | undefined,
): Promise<Rpo> {
  const isMoved = record.steps.some(
    ({ name, direction, state }) =>
      direction === 'forward' && state !== 'pending' && (name === 'rebind' || name === 'rehome'),
  );
  if (!isMoved) return { atMostMs: 0, sentence: 'Nothing: nobody was moved.' };
  const io = { recall: (key: string) => recalled(key as keyof Memory) as never };
  const held = recall(io, 'held') ?? [];
  const unread = recall(io, 'unread') ?? [];
  const unswept = recall(io, 'unswept') ?? [];
  const loss = recall(io, 'loss') as unknown as Loss | undefined;
  const parts: string[] = [];
  const since: number[] = [];
  if (unread.length > 0) {
    parts.push(
      `${named(unread)} could not be read on ${move.from} and moved as they were when they last could be`,
    );
    since.push(loss?.lastPassAt ?? loss?.committedAt ?? record.startedAt);
  }
  if (held.length > 0) {
    const times = await ports.withReader(move.from, async ({ catalog }) =>
      held.map(({ at }) => catalog.commitAtOrBefore(at)?.time ?? record.startedAt),
    );
    const first = Math.min(...times);
    const names = held.map(({ account }) => account);
    parts.push(
      `of ${named(names)} what came after a burst of removals (from ${new Date(first).toISOString()} on) is in the journal and not on ${move.to}`,
    );
    since.push(first);
  }
  if (unswept.length > 0) {
    parts.push(`whether mail for ${named(unswept)} reached ${move.from} late could not be looked at`);
  }
  const setAside = loss?.setAside ?? 0;
  if (setAside > 0) parts.push(`${counted(setAside, 'message')} ${move.from} itself could not serve`);
  const atMostMs = since.length === 0 ? 0 : Math.max(0, record.startedAt - Math.min(...since));
  const sentence =
    parts.length === 0
      ? 'Nothing: the last changes were carried over, and the old server was looked at once more.'
      : `Of all else nothing; but ${parts.join('; ')}.`;
  return { atMostMs, sentence };
}

function named(accounts: readonly string[]): string {
  const rest = accounts.length - NAMED_AT_MOST;
  return `${accounts.slice(0, NAMED_AT_MOST).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
