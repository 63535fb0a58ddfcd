/** IDLE (RFC 2177, RFC 9051 section 6.3.13): the server tells what changes, until we say DONE. */
import type { UnderstudyError } from '../../../lib/index.ts';
import { refusal, type Wire } from './wire.ts';

export interface IdleSession {
  /** Says DONE and waits for the answer; then other commands may be given. May be called twice. */
  stop(): Promise<void>;
  /** Resolves when idling has ended, with the error when it was not by `stop`. */
  readonly ended: Promise<UnderstudyError | undefined>;
}

/**
 * Resolves when the server idles. Events go to the connection's `onEvent`. Every `renewMs` IDLE is ended and begun
 * anew: servers drop a silent client after 30 minutes, and a half-open connection is noticed only by an answer
 * that does not come.
 */
export async function startIdle(wire: Wire, renewMs: number): Promise<IdleSession> {
  const stopping = new AbortController();
  const ended = Promise.withResolvers<UnderstudyError | undefined>();
  let round = await beginRound(wire);
  const run = async () => {
    for (;;) {
      const renew = new AbortController();
      const abort = () => renew.abort();
      stopping.signal.addEventListener('abort', abort, { once: true });
      if (stopping.signal.aborted) renew.abort();
      await Promise.race([
        wire.clock.sleep(renewMs, renew.signal).catch(() => {}), // woken by stop, or by the end below
        round.done.catch(() => {}), // its outcome is awaited by finish
      ]);
      renew.abort();
      stopping.signal.removeEventListener('abort', abort);
      await round.finish();
      if (stopping.signal.aborted) return;
      round = await beginRound(wire);
    }
  };
  run().then(
    () => ended.resolve(undefined),
    (error: UnderstudyError) => ended.resolve(error),
  );
  return {
    ended: ended.promise,
    stop: async () => {
      stopping.abort();
      const error = await ended.promise;
      if (error) throw error;
    },
  };
}

async function beginRound(wire: Wire): Promise<{ done: Promise<unknown>; finish: () => Promise<void> }> {
  const begun = Promise.withResolvers<void>();
  const done = wire.command('IDLE', ['IDLE'], { onContinue: () => begun.resolve() });
  // A NO in place of `+` ends the command before it began.
  await Promise.race([begun.promise, done]);
  let over = false;
  done.then(
    () => {
      over = true;
    },
    () => {
      over = true;
    },
  );
  wire.quiet = true;
  return {
    done,
    finish: async () => {
      wire.quiet = false;
      if (!over) wire.endIdle();
      const status = await done;
      if (status.status !== 'OK') throw refusal(wire.place, 'IDLE', status);
    },
  };
}
