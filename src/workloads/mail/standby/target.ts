/** The server that is brought up, as the other parts of the mail workload want to be told of one. */
import type { DoveadmClient } from '../doveadm/index.ts';
import { type Bandwidth, ConnectionPool, doveadmOf } from '../shadow/index.ts';
import type { MailDeps } from '../types.ts';
import type { StandbyDeps } from './types.ts';

type TargetDeps = Pick<StandbyDeps, 'target' | 'config' | 'clock' | 'log'>;

export interface TargetServer {
  readonly pool: ConnectionPool;
  /** Undefined where none is configured. */
  readonly doveadm: DoveadmClient | undefined;
  /** Ends what is under way. */
  close(): void;
}

/** Connections to the target; closed by the caller, and when the signal says so. */
export function openTarget(
  { target, config, clock, log }: TargetDeps,
  signal?: AbortSignal,
  bandwidth?: Bandwidth,
): TargetServer {
  // Neither the pool nor the API look into a vault.
  const mail = { server: target, config, clock, log } as MailDeps;
  const pool = new ConnectionPool(mail, { keepWarm: 0, ...(bandwidth === undefined ? {} : { bandwidth }) });
  const doveadm = doveadmOf(mail);
  const close = () => {
    signal?.removeEventListener('abort', close);
    pool.close();
    doveadm?.close();
  };
  signal?.addEventListener('abort', close, { once: true });
  return { pool, doveadm, close };
}
