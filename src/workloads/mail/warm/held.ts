/** What is held of a pair, and its acceptance, where no engine runs: for a takeover, and for the command line. */
import type { CheckpointRow } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import { hasCode } from '../../../lib/index.ts';
import { ConnectionPool } from '../shadow/index.ts';
import type { StandbyDeps } from '../standby/index.ts';
import type { MailDeps } from '../types.ts';
import { type BurstRule, isBurst, lossSince } from './burst.ts';
import { type MemoryKey, type Remembered, WarmMemory } from './memory.ts';
import { burstNotPassed, burstsByAccount } from './not-passed.ts';
import type { HeldBurst } from './types.ts';

export interface WarmPlace extends Omit<StandbyDeps, 'source'> {
  /** `<dataDir>/<source>/warm-<pair>.sqlite` */
  readonly memoryFile: string;
  readonly burst: BurstRule;
}

/**
 * Bursts that must not go to the standby by themselves: what was held, and what the journal holds behind that, as far as it
 * is a loss still. `at` is the LSN to which the account may go. Reads only. Of accounts of which nothing is remembered the standby is asked
 * what it serves, where the journal marks bursts in them. Errors: `MAIL_…` then.
 */
export async function heldBursts(place: WarmPlace): Promise<HeldBurst[]> {
  const remembered = WarmMemory.peek(place.memoryFile, memoryKey(place)) ?? NOTHING;
  const { catalog } = place.reader;
  const { held, passed, appliedLsn, fillLsn, filled, apart } = remembered;
  const unfilled = new Set(apart.filter((one) => !one.filled).map(({ account }) => account));
  const points = new Map<string, { at: Lsn; since: number }>();
  const released = new Set<string>();
  for (const { account, at, since, released: goes } of held) {
    if (goes) released.add(account);
    else points.set(account, { at, since });
  }
  const doubted = new Map<string, CheckpointRow[]>();
  for (const [account, all] of burstsByAccount(catalog)) {
    const bursts = all.filter(({ lsn }) => lsn > (passed.get(account) ?? -1));
    const isFilled = appliedLsn === undefined ? filled.has(account) : !unfilled.has(account);
    const isKnown = isFilled || released.has(account);
    if (!isKnown && bursts.length > 0) doubted.set(account, bursts);
    const next = bursts.find(({ lsn }) => lsn >= (appliedLsn ?? fillLsn ?? Number.POSITIVE_INFINITY));
    if (next && !points.has(account)) points.set(account, { at: next.lsn, since: next.time });
  }
  for (const [account, { lsn, time }] of await standingBefore(place, doubted)) {
    if (lsn < (points.get(account)?.at ?? Number.POSITIVE_INFINITY))
      points.set(account, { at: lsn, since: time });
  }
  return [...points].flatMap(([account, { at, since }]) => {
    const loss = lossSince(catalog, account, at);
    return isBurst(loss, place.burst) ? [{ account, ...loss, before: `lsn:${at}`, at, since }] : [];
  });
}

const NOTHING: Remembered = { filled: new Set(), held: [], passed: new Map(), apart: [] };

/** Of accounts of which nothing is remembered, the burst that the standby has not had. */
async function standingBefore(
  { reader, target, config, clock, log, burst: rule }: WarmPlace,
  doubted: ReadonlyMap<string, readonly CheckpointRow[]>,
): Promise<Map<string, CheckpointRow>> {
  const found = new Map<string, CheckpointRow>();
  const { catalog } = reader;
  const losing = [...doubted].filter(([account, bursts]) =>
    bursts.some(({ lsn }) => isBurst(lossSince(catalog, account, lsn), rule)),
  );
  if (losing.length === 0) return found;
  const pool = new ConnectionPool({ server: target, config, clock, log } as MailDeps, { keepWarm: 0 });
  try {
    for (const [account, bursts] of losing) {
      try {
        const burst = await pool.use(account, (connection) =>
          burstNotPassed({ catalog, connection, rule }, account, bursts),
        );
        if (burst) found.set(account, burst);
      } catch (error) {
        // An account that the standby does not have has nothing to lose there.
        if (!hasCode(error, 'MAIL_ACCOUNT_REFUSED') && !hasCode(error, 'MAIL_AUTH_FAILED')) throw error;
      }
    }
  } finally {
    pool.close();
  }
  return found;
}

/** Lets held bursts go on to the standby when it is next brought up. Gives those that were held. May be repeated. Errors: as `heldBursts`. */
export async function acceptHeld(place: WarmPlace, account?: string): Promise<HeldBurst[]> {
  const bursts = (await heldBursts(place)).filter(
    (burst) => account === undefined || burst.account === account,
  );
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
