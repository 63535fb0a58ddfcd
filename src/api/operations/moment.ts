/** Finds the LSN that an `--at` means. */
import type { Catalog } from '../../catalog/index.ts';
import type { Lsn } from '../../journal/index.ts';
import type { Core } from '../core.ts';

/** A commit; `time` is its wall time, RFC 3339, absent in a vault without commits. */
export interface Moment {
  readonly lsn: Lsn;
  readonly time?: string;
}

/** `spec` absent = the newest commit; `account`: only that one is meant. @throws CATALOG_AT_…, CATALOG_LABEL_UNKNOWN, CATALOG_VAULT_MISSING */
export function resolveAt(
  core: Core,
  server: string,
  spec: string | undefined,
  account?: string,
): Promise<Moment> {
  return core.withReader(server, async ({ catalog }) =>
    momentIn(catalog, spec, core.clock.wallMs(), account),
  );
}

/** The same in a catalog that is open. */
export function momentIn(
  catalog: Catalog,
  spec: string | undefined,
  nowMs: number,
  account?: string,
): Moment {
  const lsn = spec === undefined ? catalog.appliedLsn : catalog.resolveAt(spec, nowMs, account);
  const time = catalog.timeOf(lsn);
  return time === undefined ? { lsn } : { lsn, time: new Date(time).toISOString() };
}
