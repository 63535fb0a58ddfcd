/** No check waits longer than its limit, and none hides another: each ends with findings. */
import { type Clock, messageOf } from '../../lib/index.ts';
import { amber, fromError, red, type Subject } from './finding.ts';
import type { ReadinessOptions } from './ports.ts';
import type { Finding } from './types.ts';

export const TIMEOUT_MS = 5_000;

/** A check has several questions; each has its own limit too. */
const QUESTIONS_MOST = 4;

/** Findings of `work`, or one that says why there are none. Rejects with the reason of `options.signal` only. */
export async function bounded(
  clock: Clock,
  options: ReadinessOptions,
  subject: Subject,
  work: (signal: AbortSignal) => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  const limitMs = (options.timeoutMs ?? TIMEOUT_MS) * QUESTIONS_MOST;
  const over = new AbortController();
  const done = new AbortController();
  const signal = AbortSignal.any([over.signal, ...(options.signal ? [options.signal] : [])]);
  const late = clock.sleep(limitMs, AbortSignal.any([done.signal, signal])).then(
    () => {
      over.abort(new Error(`no answer within ${limitMs} ms`));
      return [
        red(
          subject,
          `no answer within ${limitMs} ms`,
          'Look at the load of the server and the network between.',
        ),
      ];
    },
    // Woken because it ended, or because the caller wants no more.
    () => [],
  );
  try {
    const found = work(signal).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      return asFinding(subject, error);
    });
    const first = await Promise.race([found, over.signal.aborted ? late : raceOnly(late)]);
    options.signal?.throwIfAborted();
    return Array.isArray(first) ? first : [first as Finding];
  } finally {
    done.abort();
  }
}

/** The limit alone; a sleep that was woken early never wins. */
function raceOnly(late: Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  return late.then((findings) => (findings.length > 0 ? findings : new Promise(() => {})));
}

/** What is not an error of ours is said as it is: one broken check must not take the others from the operator. */
function asFinding(subject: Subject, error: unknown): Finding {
  try {
    return fromError(subject, error);
  } catch {
    return amber(
      subject,
      `could not be looked at: ${messageOf(error)}`,
      'A defect of Understudy: please report it with this message.',
    );
  }
}
