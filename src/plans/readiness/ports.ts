/** What readiness asks of the world beside the servers, which it asks itself. main.ts and the API fill it in; all of it only looks. */
import type { VaultReader } from '../../catalog/index.ts';
import type { Config } from '../../config/index.ts';
import type { Directory } from '../../directory/index.ts';
import type { Clock, Log } from '../../lib/index.ts';
import type { DoorState } from '../../rehome/index.ts';
import type { WarmStatus } from '../../workloads/mail/warm/index.ts';

export interface ReadinessPorts {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** Reads the replica of a server beside whoever writes. @throws CATALOG_VAULT_MISSING, JOURNAL_… */
  withReader<T>(server: string, work: (reader: VaultReader) => Promise<T>): Promise<T>;
  /** The pair's directory; undefined where it has none. */
  directory(pair: string): Promise<Directory | undefined>;
  /** What the pair's front door says of itself; undefined where there is none or it does not run. */
  doorStats(pair: string): Promise<{ readonly state: DoorState } | undefined>;
  /** How a server is followed now; undefined where nothing follows it. */
  following(server: string): Promise<FollowingNow | undefined>;
  /** The pair's warm standby; undefined where none is kept here. */
  warm(pair: string): Promise<WarmStatus | undefined>;
  /** The server that has the pair's accounts, and the other one. */
  roles(pair: string): Promise<{ readonly acting: string; readonly former: string }>;
}

export interface FollowingNow {
  readonly lagMs: number;
  /** False while the replica is not complete; absent where that is not known. */
  readonly firstPassDone?: boolean;
  /** Why it does not go on. */
  readonly problem?: { readonly code: string; readonly message: string; readonly remedy: string };
}

export interface ReadinessOptions {
  readonly signal?: AbortSignal;
  /** Longest wait for one answer of a server. Default: 5,000. */
  readonly timeoutMs?: number;
}
