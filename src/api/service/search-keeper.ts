/**
 * Keeps the search indexes near the ends of their journals, in the reading thread, one server after the other. A server
 * in its baseline is left for later: indexing would take the processor from it.
 */
import { type Clock, hasCode, type Log } from '../../lib/index.ts';
import type { ServiceThread } from '../threads.ts';

const EVERY_MS = 60_000;

interface Parts {
  readonly vaults: ReadonlyMap<string, ServiceThread>;
  readonly readers: () => Promise<ServiceThread>;
  readonly clock: Clock;
  readonly log: Log;
}

export function keepSearchIndexed(parts: Parts): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const loop = run(parts, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}

async function run(parts: Parts, signal: AbortSignal): Promise<void> {
  const indexedAt = new Map<string, number>();
  while (!signal.aborted) {
    await parts.clock.sleep(EVERY_MS, signal).catch(() => {
      // Only the signal ends a sleep early; the loop's condition sees it.
    });
    for (const [server, thread] of parts.vaults) {
      if (signal.aborted) return;
      const status = await thread.status();
      if (status.phase !== 'following' || indexedAt.get(server) === status.committedLsn) continue;
      try {
        await (await parts.readers()).call('index', { server }, { signal });
        indexedAt.set(server, status.committedLsn);
      } catch (error) {
        if (!signal.aborted) logFailure(parts.log, server, error);
      }
    }
  }
}

function logFailure(log: Log, server: string, error: unknown): void {
  const level = hasCode(error, 'CATALOG_MISSING') ? 'debug' : 'warn';
  log[level]({ server, err: error }, 'the search index could not be brought up to the journal; tried again');
}
