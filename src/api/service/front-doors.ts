/**
 * Keeps the front doors of the pairs there: clients connect to them from before the first plan on. A front door is a process of its own, and
 * goes on when the service ends.
 */
import { type Config, pairNamed } from '../../config/index.ts';
import type { Clock, Log } from '../../lib/index.ts';
import { ensureProxy } from '../../rehome/index.ts';
import { asOperatingError } from '../defects.ts';

/** A front door that was killed is there again after at most this, and its start. */
const EVERY_MS = 3_000;

interface Parts {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** The module that the command line begins with. */
  readonly entry: URL;
}

export interface FrontDoors {
  /** Ends the looking, not the front doors. */
  stop(): Promise<void>;
}

/** Resolves when every front door was started once, or has told the log why not; goes on looking until `stop`. */
export async function keepFrontDoors(parts: Parts): Promise<FrontDoors> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const pairs = Object.keys(parts.config.pairs).filter((pair) =>
    pairNamed(parts.config, pair).rehome.some(({ kind }) => kind === 'proxy'),
  );
  /** By pair: what was said last, which is not said again. */
  const said = new Map<string, string>();
  const look = () => Promise.all(pairs.map((pair) => ensure(parts, pair, said, signal)));
  await look();
  const loop = (async () => {
    while (pairs.length > 0 && !signal.aborted) {
      await parts.clock.sleep(EVERY_MS, signal).catch(() => {
        // Only the signal ends a sleep early; the loop's condition sees it.
      });
      if (!signal.aborted) await look();
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}

async function ensure(
  { config, clock, log, entry }: Parts,
  pair: string,
  said: Map<string, string>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await ensureProxy(config, pair, { clock, log, entry, signal });
    said.delete(pair);
  } catch (error) {
    if (signal.aborted) return;
    const { code, message, remedy } = asOperatingError(error);
    if (said.get(pair) === message) return;
    said.set(pair, message);
    log.error({ pair, code, remedy }, `the front door does not run: ${message}`);
  }
}
