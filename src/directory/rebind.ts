/**
 * Rebinding, in rounds: look at every open entry, settle what can be settled, ask for the rest, and look again. What the
 * server answers to a change is never the proof; the next look is. A connection that is lost ends a round wherever it is,
 * and the next round finds out what became of it.
 */
import { ResultCodeError } from 'ldapts';
import { systemClock, type UnderstudyError } from '../lib/index.ts';
import { type Connection, openConnection } from './connection.ts';
import type { Rebinding, RebindOptions, RebindOutcome } from './directory.ts';
import { explained, failure, gone, invalid, refusedWrite, resultCode } from './failures.ts';
import { judge, sameValues } from './judge.ts';
import { look } from './look.ts';
import type { LdapOptions } from './options.ts';
import { everyAccount } from './query.ts';
import { type Work, type Writing, write } from './write.ts';

/** How often a change is asked for that the server refuses because the entry had changed, and that has changed back since. */
const TRIES = 3;
/** Between two rounds without progress: the first pause, and the longest. */
const PAUSE_MS = [50, 2_000] as const;

type Settled = Omit<RebindOutcome, 'account' | 'dn'>;

/** See `Directory.rebind`. */
export async function rebind(
  options: LdapOptions,
  changes: readonly Rebinding[],
  { signal, progress, rest = false }: RebindOptions = {},
): Promise<RebindOutcome[]> {
  everyAccount(options);
  const { clock = systemClock, patienceMs = 30_000, log } = options;
  const works = distinctWorks(changes);
  const settled = new Map<Work, Settled>();
  let open = [...works.values()];
  let answered = 0;
  const tell = () =>
    progress?.({
      phase: 'rebind',
      accountsDone: settled.size + Math.min(answered, open.length),
      accountsTotal: works.size,
    });
  const writing: Writing = {
    options,
    signal,
    anyAccepted: rest,
    onAnswers: (count) => {
      answered += count;
      tell();
    },
  };

  let connection: Connection | undefined;
  let pauseMs: number = PAUSE_MS[0];
  let furtherAt = clock.monotonicMs();
  // A directory that is not there at the start is the caller's to know at once.
  if (open.length > 0) connection = await openConnection(options, signal);
  try {
    while (open.length > 0) {
      signal?.throwIfAborted();
      let trouble: UnderstudyError | undefined;
      let hopeless: UnderstudyError | undefined;
      try {
        // Not ended by the signal: what was sent is answered first, so that nothing changes any more once the caller hears.
        connection ??= await openConnection(options);
        await look(options, connection, open, signal);
        const before = open.length;
        open = settle(options, open, settled);
        if (open.length < before) {
          furtherAt = clock.monotonicMs();
          pauseMs = PAUSE_MS[0];
        }
        answered = 0;
        tell();
        writing.anyAccepted ||= [...settled].some(wasAccepted);
        hopeless = await write(writing, connection, open.filter(isReadable));
        const busy = open.find((work) => isBusy(work.answer) || !isReadable(work));
        if (busy) trouble = explained(options, busy.unreadable ?? busy.answer);
      } catch (error) {
        signal?.throwIfAborted();
        trouble = explained(options, error);
        await connection?.close();
        connection = undefined;
      }
      if (hopeless) throw hopeless;
      if (trouble === undefined) continue;
      if (trouble.retry !== 'later' || clock.monotonicMs() - furtherAt > patienceMs) {
        for (const work of open) settled.set(work, givenUp(work, trouble));
        break;
      }
      log?.warn({ code: trouble.code, open: open.length }, `${trouble.message}; trying again`);
      await clock.sleep(pauseMs, signal).catch((error: unknown) => {
        signal?.throwIfAborted();
        throw error;
      });
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS[1]);
    }
  } finally {
    await connection?.close();
  }
  return changes.map(({ account, dn }) => {
    const work = works.get(keyOf(dn)) as Work;
    return { account, dn, ...(settled.get(work) as Settled) };
  });
}

/** One per entry: an entry with two login names is changed once. */
function distinctWorks(changes: readonly Rebinding[]): Map<string, Work> {
  const works = new Map<string, Work>();
  for (const { account, dn, from, to } of changes) {
    const other = works.get(keyOf(dn));
    if (other !== undefined) {
      if (sameValues(from, other.from) && sameValues(to, other.to)) continue;
      throw invalid(`two different changes of ${dn}, one of them for ${account}`);
    }
    works.set(keyOf(dn), {
      dn,
      from,
      to,
      found: [],
      unreadable: undefined,
      answer: undefined,
      written: false,
      tries: 0,
    });
  }
  return works;
}

/** By this call, or by an earlier one that did not come to its end. */
function wasAccepted([work, { result }]: readonly [Work, Settled]): boolean {
  return result === 'changed' || (result === 'already' && !sameValues(work.from, work.to));
}

function keyOf(dn: string): string {
  return dn.toLowerCase();
}

/** Takes out of `open` what the last look has decided; returns what is left to be asked for. */
function settle(options: LdapOptions, open: readonly Work[], settled: Map<Work, Settled>): Work[] {
  return open.filter((work) => {
    const outcome = outcomeOf(options, work);
    if (work.answer instanceof ResultCodeError) work.tries += 1;
    work.answer = undefined;
    if (outcome !== undefined) settled.set(work, outcome);
    return outcome === undefined;
  });
}

function outcomeOf(options: LdapOptions, work: Work): Settled | undefined {
  const { dn, found, answer, unreadable } = work;
  if (!isReadable(work))
    return isBusy(unreadable) ? undefined : failed(whyUnreadable(options, dn, unreadable));
  switch (judge(found, work)) {
    case 'done':
      return { result: work.written ? 'changed' : 'already', found };
    case 'conflict': {
      const values = (list: readonly string[]) => (list.length === 0 ? 'nothing' : list.join(', '));
      const message = `${options.serverAttribute} of ${dn} says ${values(found)}, not ${values(work.from)}`;
      const { code, remedy } = failure(options, 'DIRECTORY_CHANGED_MEANWHILE', message);
      return { result: 'conflict', found, code, message, remedy };
    }
    case 'ready':
      if (answer === undefined || answer === 'unknown' || isBusy(answer)) return undefined;
      if (answer === 'accepted') {
        const message = `${options.url} took the change of ${dn}, and still says what it said before`;
        return failed(failure(options, 'DIRECTORY_NOT_KEPT', message), found);
      }
      if (isMeanwhile(answer) && work.tries < TRIES) return undefined;
      return failed(refusedWrite(options, dn, answer), found);
  }
}

function failed({ code, message, remedy }: UnderstudyError, found?: readonly string[]): Settled {
  return { result: 'failed', code, message, remedy, ...(found === undefined ? {} : { found }) };
}

/** For what is still open when patience is at its end. */
function givenUp({ answer, written }: Work, { code, message, remedy }: UnderstudyError): Settled {
  const unknown = answer === 'unknown' || answer === 'accepted' || written;
  return {
    result: 'failed',
    code,
    message: unknown ? `${message}; whether the entry was changed is not known` : message,
    remedy: `${remedy} Then repeat: what is done is not done again.`,
  };
}

function whyUnreadable(options: LdapOptions, dn: string, error: unknown): UnderstudyError {
  if (error instanceof ResultCodeError) {
    if (error.code === resultCode.noSuchObject) return gone(options, dn, error);
    if (error.code === resultCode.referral) return refusedWrite(options, dn, error);
  }
  return explained(options, error);
}

function isReadable({ unreadable }: Work): boolean {
  return unreadable === undefined;
}

function isBusy(error: unknown): boolean {
  return (
    error instanceof ResultCodeError &&
    (error.code === resultCode.busy || error.code === resultCode.unavailable)
  );
}

/** The server found other values than we had read a moment before. */
function isMeanwhile({ code }: ResultCodeError): boolean {
  return (
    code === resultCode.noSuchAttribute ||
    code === resultCode.attributeOrValueExists ||
    code === resultCode.assertionFailed
  );
}
