/** What is held of a pair, and its acceptance, where no engine runs: for a takeover, and for the command line. */
import type { Lsn } from '../../../journal/index.ts';
import type { StandbyDeps } from '../standby/index.ts';
import { type BurstRule, isBurst, lossSince } from './burst.ts';
import { type MemoryKey, WarmMemory } from './memory.ts';
import type { HeldBurst } from './types.ts';

export interface WarmPlace {
  readonly reader: StandbyDeps['reader'];
  readonly target: string;
  readonly config: StandbyDeps['config'];
  /** `<dataDir>/<source>/warm-<pair>.sqlite` */
  readonly memoryFile: string;
  readonly burst: BurstRule;
}

/**
 * Bursts that must not go to the standby by themselves: what was held, and what the journal holds behind that, as far as it
 * is a loss still. `at` is the LSN to which the account may go. None where the standby was never kept warm. Reads only.
 */
export function heldBursts(place: WarmPlace): HeldBurst[] {
  const remembered = WarmMemory.peek(place.memoryFile, memoryKey(place));
  if (remembered === undefined) return [];
  const { catalog } = place.reader;
  const { held, passed } = remembered;
  const points = new Map<string, { at: Lsn; since: number }>();
  for (const { account, at, since, released } of held) {
    if (!released) points.set(account, { at, since });
  }
  const seen = remembered.appliedLsn ?? remembered.fillLsn ?? (0 as Lsn);
  for (const { cause, account, lsn, time } of catalog.checkpoints()) {
    if (cause !== 'burst' || account === undefined || lsn < seen || points.has(account)) continue;
    if (lsn > (passed.get(account) ?? -1)) points.set(account, { at: lsn, since: time });
  }
  return [...points].flatMap(([account, { at, since }]) => {
    const loss = lossSince(catalog, account, at);
    return isBurst(loss, place.burst) ? [{ account, ...loss, before: `lsn:${at}`, at, since }] : [];
  });
}

/** Lets held bursts go on to the standby when it is next brought up. Gives those that were held. May be repeated. */
export function acceptHeld(place: WarmPlace, account?: string): HeldBurst[] {
  const bursts = heldBursts(place).filter((burst) => account === undefined || burst.account === account);
  if (bursts.length === 0) return bursts;
  const memory = WarmMemory.open(place.memoryFile, memoryKey(place));
  try {
    for (const burst of bursts) {
      memory.hold(burst);
      memory.release(burst.account, place.reader.catalog.appliedLsn);
    }
  } finally {
    memory.close();
  }
  return bursts;
}

export function memoryKey({
  reader,
  target,
  config,
}: Pick<WarmPlace, 'reader' | 'target' | 'config'>): MemoryKey {
  return {
    journalId: reader.catalog.journalId,
    target: `${target} ${config.host}:${config.imap.port}`,
  };
}
