/** What would be lost if the standby took over now, as far as it can be known. */
import type { Catalog } from '../../catalog/index.ts';
import type { Lsn } from '../../journal/index.ts';
import { counted, duration } from '../../lib/index.ts';
import type { FollowingLag } from './ports.ts';

export interface Loss {
  /** The last commit, and its wall time in ms: everything up to it is held. */
  readonly lsn: Lsn;
  readonly committedAt: number;
  /** When the server was last looked at as a whole, ms; absent when it never was. */
  readonly lastPassAt?: number;
  readonly accounts: number;
  readonly messages: number;
  /** Age of the oldest change that was seen and not committed. */
  readonly lagMs: number;
  /** Pushed events that the server was let go with before their commit. */
  readonly unprotectedEvents: number;
  /** Messages that the server showed and could not serve. */
  readonly setAside: number;
  /** The server pushes its changes and waits for their commit. */
  readonly synchronous: boolean;
  /** The same for a person. */
  readonly sentence: string;
}

export function lossOf(
  catalog: Catalog,
  lag: FollowingLag | undefined,
  options: { readonly synchronous: boolean; readonly nowMs: number },
): Loss | undefined {
  const last = catalog.lastCommit();
  if (last === undefined) return undefined;
  const { accounts, messages } = catalog.totals();
  const checkpoint = catalog.checkpoints().findLast(({ cause }) => cause === 'pass');
  const lastPassAt = lag?.lastPassAt ?? checkpoint?.time;
  const loss = {
    lsn: last.lsn,
    committedAt: last.time,
    ...(lastPassAt === undefined ? {} : { lastPassAt }),
    accounts,
    messages,
    lagMs: lag?.lagMs ?? 0,
    unprotectedEvents: lag?.unprotected ?? 0,
    setAside: catalog.setAside().length,
    synchronous: options.synchronous,
  };
  return { ...loss, sentence: sentenceOf(loss, options.nowMs) };
}

function sentenceOf(loss: Omit<Loss, 'sentence'>, nowMs: number): string {
  const held = `everything seen up to ${new Date(loss.committedAt).toISOString()} is held (${counted(loss.accounts, 'account')}, ${counted(loss.messages, 'message')})`;
  const doubts = [
    loss.lagMs > 0 ? `changes of the last ${duration(loss.lagMs)} were seen and not committed` : '',
    loss.unprotectedEvents > 0
      ? `${counted(loss.unprotectedEvents, 'pushed event')} went on before the commit`
      : '',
    loss.setAside > 0 ? `${counted(loss.setAside, 'message')} could not be read` : '',
  ].filter((text) => text !== '');
  if (loss.synchronous && doubts.length === 0) {
    return `as far as it can be known nothing is lost: ${held}, and the server waits for every commit`;
  }
  const unseen =
    loss.lastPassAt === undefined
      ? 'the server was never looked at as a whole'
      : `changed since ${new Date(loss.lastPassAt).toISOString()} (${duration(Math.max(0, nowMs - loss.lastPassAt))} ago) and not told of is unknown`;
  return `${held}; what ${loss.synchronous ? 'was not pushed is found by the next look' : unseen}${doubts.map((doubt) => `; ${doubt}`).join('')}`;
}
