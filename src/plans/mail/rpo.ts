/**
 * What was lost, as far as it can be known: of a failover what the journal did not have, of a switchover what it was told to leave behind; and what of
 * the journal is not on the new server.
 */
import { counted } from '../../lib/index.ts';
import type { CarryOverReport } from '../../workloads/mail/carry-over/index.ts';
import type { PlanRecord } from '../index.ts';
import type { Memory, Moment, TakeOver } from './context.ts';
import type { Loss } from './loss.ts';
import { isMoved } from './people-moved.ts';
import { appendedOf } from './steps/sweep.ts';

export interface Rpo {
  readonly atMostMs: number;
  readonly sentence: string;
}

type Recalled = <K extends keyof Memory>(key: K) => Memory[K] | undefined;

/** One thing that is not there: for a person, and since when at the earliest (wall time, ms) where that can be told. */
interface Lack {
  readonly text: string;
  readonly since?: number;
}

const NAMED_AT_MOST = 10;
/** Steps whose problems leave an account on the new server otherwise than the journal has it. */
const NOT_WHOLE_AFTER = ['finish', 'certify', 'quick'];
/** Of these once a rollback has compared: they speak of the former server then. */
const NOT_WHOLE_ONCE_BACK = ['finish'];

/** Of the way back: what they met stayed on the server that people were taken off. */
const LEFT_AFTER = ['pass-back', 'carry-back', 'sweep-pass-back', 'sweep-back'];

/** `chosen`: the state that was asked for, where it was not the last one. */
export async function failoverRpo(
  context: TakeOver,
  record: PlanRecord,
  recalled: Recalled,
  chosen: Moment | undefined,
): Promise<Rpo> {
  const lacks = [
    ...(await heldBack(context, record, recalled)),
    ...(await notWhole(context, record, recalled)),
    ...leftBehind(context, record, recalled),
  ];
  const sinceOf = (first: number) => {
    const since = lacks.flatMap((lack) => lack.since ?? []);
    return Math.max(0, record.startedAt - Math.min(first, ...since));
  };
  const withLacks = (sentence: string) =>
    lacks.length === 0
      ? sentence
      : `Not all is on ${context.move.to}: ${lacks.map(({ text }) => text).join('; ')}. Of the rest: ${sentence}`;
  if (chosen !== undefined) {
    const sentence = `What is newer than ${new Date(chosen.time).toISOString()}, the state that was asked for: it stays in the journal.`;
    return { atMostMs: sinceOf(chosen.time), sentence: withLacks(sentence) };
  }
  const loss = recalled('loss') as unknown as Loss | undefined;
  if (loss === undefined) return { atMostMs: 0, sentence: 'Not assessed.' };
  const certain = loss.synchronous && loss.unprotectedEvents === 0 && loss.lagMs === 0;
  const since = loss.lastPassAt ?? loss.committedAt;
  const atMostMs = sinceOf(certain ? record.startedAt : since);
  return { atMostMs, sentence: withLacks(loss.sentence) };
}

/** Accounts that came up as before a burst. */
async function heldBack(
  { ports, move }: TakeOver,
  record: PlanRecord,
  recalled: Recalled,
): Promise<readonly Lack[]> {
  const held = recalled('held') ?? [];
  if (held.length === 0) return [];
  const times = await ports.withReader(move.from, async ({ catalog }) =>
    held.map(({ at }) => catalog.commitAtOrBefore(at)?.time ?? record.startedAt),
  );
  const since = Math.min(...times);
  const names = named(held.map(({ account }) => account));
  const text = `of ${names} what came after a burst of removals (from ${new Date(since).toISOString()} on) is in the journal and not on ${move.to}`;
  return [{ text, since }];
}

/** Accounts that could not be brought up, or differ: how much of them is missing nobody knows. */
async function notWhole(
  { ports, move }: TakeOver,
  record: PlanRecord,
  recalled: Recalled,
): Promise<readonly Lack[]> {
  const comparedBack = record.steps.some(
    ({ name, direction, attempts }) => direction === 'back' && name === 'carry-back' && attempts > 0,
  );
  const steps = comparedBack ? NOT_WHOLE_ONCE_BACK : NOT_WHOLE_AFTER;
  const problems = (recalled('problems') ?? []).filter(
    ({ step, account }) => account !== '' && steps.includes(step),
  );
  if (problems.length === 0) return [];
  const names = named([...new Set(problems.map(({ account }) => account))]);
  const first = await ports.withReader(move.from, async ({ catalog }) => catalog.firstCommit());
  const text = `${names} could not be brought up on ${move.to} as the journal has them: what is missing there is in the journal`;
  return [{ text, ...(first === undefined ? {} : { since: first.time }) }];
}

/** A rollback may leave behind what it was told to, or what it found too late to ask. */
function leftBehind({ move }: TakeOver, record: PlanRecord, recalled: Recalled): readonly Lack[] {
  if (record.state !== 'rolled-back') return [];
  const problems = (recalled('problems') ?? []).filter(
    ({ step, account }) => account !== '' && LEFT_AFTER.includes(step),
  );
  const accounts = [...new Set(problems.map(({ account }) => account))];
  if (accounts.length === 0) return [];
  const whose = accounts.includes('*') ? '' : `of ${named(accounts)} `;
  return [
    {
      text: `${whose}what was written on ${move.to} and could not be carried back to ${move.from} stayed there`,
      since: recalled('doorOpen') ?? record.startedAt,
    },
  ];
}

export async function switchoverRpo(context: TakeOver, record: PlanRecord, recalled: Recalled): Promise<Rpo> {
  const { move } = context;
  if (!isMoved(record)) return { atMostMs: 0, sentence: 'Nothing: nobody was moved.' };
  const unread = recalled('unread') ?? [];
  const unswept = recalled('unswept') ?? [];
  const loss = recalled('loss') as unknown as Loss | undefined;
  const lacks: Lack[] = [];
  if (unread.length > 0) {
    lacks.push({
      text: `${named(unread)} could not be read on ${move.from} and moved as they were when they last could be`,
      since: loss?.lastPassAt ?? loss?.committedAt ?? record.startedAt,
    });
  }
  lacks.push(...(await heldBack(context, record, recalled)), ...(await notWhole(context, record, recalled)));
  lacks.push(...leftBehind(context, record, recalled));
  if (unswept.length > 0) {
    lacks.push({
      text: `whether mail for ${named(unswept)} reached ${move.from} late could not be looked at`,
    });
  }
  const setAside = loss?.setAside ?? 0;
  if (setAside > 0)
    lacks.push({ text: `${counted(setAside, 'message')} ${move.from} itself could not serve` });
  const parts = [...lacks.map(({ text }) => text), ...cameLate(context, recalled)];
  const since = lacks.flatMap((lack) => lack.since ?? []);
  const atMostMs = since.length === 0 ? 0 : Math.max(0, record.startedAt - Math.min(...since));
  const sentence =
    parts.length === 0
      ? 'Nothing: the last changes were carried over, and the old server was looked at once more.'
      : `Of all else nothing; but ${parts.join('; ')}.`;
  return { atMostMs, sentence };
}

/** What the look at the old server after the move has found. */
function cameLate({ move }: TakeOver, recalled: Recalled): readonly string[] {
  const found = recalled('stragglers') as unknown as CarryOverReport | undefined;
  if (found === undefined) return [];
  const parts: string[] = [];
  const late = appendedOf(found);
  if (late > 0) {
    parts.push(
      `${counted(late, 'message')} reached ${move.from} after the move, and came to ${move.to} as new mail`,
    );
  }
  if (found.flagsSet > 0) {
    parts.push(
      `flags of ${counted(found.flagsSet, 'message')} were changed on ${move.from} after the move, and came along`,
    );
  }
  if (found.removed > 0) {
    parts.push(
      `${counted(found.removed, 'message')} went from ${move.from} after the move, and stayed on ${move.to}`,
    );
  }
  const failed = [...new Set(found.problems.map(({ account }) => account))];
  if (failed.length > 0) {
    parts.push(
      `what reached ${move.from} late for ${named(failed)} could not be brought to ${move.to}: it is in the journal`,
    );
  }
  return parts;
}

function named(accounts: readonly string[]): string {
  const rest = accounts.length - NAMED_AT_MOST;
  return `${accounts.slice(0, NAMED_AT_MOST).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
