/** What Prometheus reads of the warm standbys. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { WarmThreadMetrics } from '../threads.ts';

/** Figures by pair. */
interface WarmFigures {
  take(figures: ReadonlyMap<string, WarmThreadMetrics>): void;
}

export function warmMetrics(registry: Registry): WarmFigures {
  const common = { labelNames: ['pair'] as const, registers: [registry] };
  const up = new Gauge({
    name: 'understudy_warm_up',
    help: '1 while the standby is kept warm and takes what it is given.',
    ...common,
  });
  const lag = new Gauge({
    name: 'understudy_warm_lag_seconds',
    help: 'Age of the oldest commit that is not on the standby, apart from accounts that are held, that fail, or that the journal does not hold as a whole yet.',
    ...common,
  });
  const held = new Gauge({
    name: 'understudy_warm_held',
    help: 'Accounts of which a burst of removals waits before the standby.',
    ...common,
  });
  const behind = new Gauge({
    name: 'understudy_warm_accounts_behind',
    help: 'Accounts with something that is not on the standby yet, also for failing there; held ones apart.',
    ...common,
  });
  const changes = new Counter({
    name: 'understudy_warm_messages_total',
    help: 'Messages added to the standby, removed from it, or given other flags.',
    labelNames: ['pair', 'change'] as const,
    registers: [registry],
  });
  return {
    take(figures) {
      for (const metric of [up, lag, held, behind, changes]) metric.reset();
      for (const [pair, { status, engine }] of figures) {
        up.set({ pair }, status === undefined || status.phase === 'stalled' ? 0 : 1);
        if (status === undefined || engine === undefined) continue;
        lag.set({ pair }, status.lagMs / 1000);
        held.set({ pair }, status.held.length);
        behind.set({ pair }, status.accountsBehind);
        changes.inc({ pair, change: 'added' }, engine.messagesAdded);
        changes.inc({ pair, change: 'removed' }, engine.messagesRemoved);
        changes.inc({ pair, change: 'flags' }, engine.flagsSet);
      }
    },
  };
}
