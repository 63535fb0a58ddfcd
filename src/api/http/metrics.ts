/** What Prometheus reads. Figures of the vaults are asked of their threads at each scrape; the others are counted here. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ServiceThreads, ThreadMetrics } from '../threads.ts';
import { warmMetrics } from './warm-metrics.ts';

export type PushOutcome =
  | 'hinted'
  | 'protected'
  | 'ignored'
  | 'timeout'
  | 'error'
  | 'malformed'
  | 'unauthorized'
  | 'unknown-server';

export class Metrics {
  readonly #threads: Pick<ServiceThreads, 'vaults' | 'warmMetrics'>;
  readonly #registry = new Registry();
  readonly #pushRequests: Counter<'server' | 'mode' | 'outcome'>;
  readonly #failOpen: Counter<'server'>;
  readonly #perServer: readonly ServerMetric[];
  readonly #perPair: ReturnType<typeof warmMetrics>;

  constructor(threads: Pick<ServiceThreads, 'vaults' | 'warmMetrics'>) {
    this.#threads = threads;
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#pushRequests = new Counter({
      name: 'understudy_push_requests_total',
      help: 'Pushed events, by mode and what became of them.',
      labelNames: ['server', 'mode', 'outcome'],
      registers,
    });
    this.#failOpen = new Counter({
      name: 'understudy_push_fail_open_total',
      help: 'Events in synchronous mode that the server was let go on with before the journal had them.',
      labelNames: ['server'],
      registers,
    });
    this.#perServer = serverMetrics(this.#registry);
    this.#perPair = warmMetrics(this.#registry);
  }

  countPush(server: string, mode: string, outcome: PushOutcome): void {
    this.#pushRequests.inc({ server, mode, outcome });
    if (mode === 'synchronous' && (outcome === 'timeout' || outcome === 'error'))
      this.#failOpen.inc({ server });
  }

  async render(): Promise<{ contentType: string; text: string }> {
    for (const metric of this.#perServer) metric.reset();
    await Promise.all(
      [...this.#threads.vaults].map(async ([server, thread]) => {
        // A thread that is down gives no figures; understudy_vault_open says so.
        const figures = thread.up
          ? await thread.call('metrics', undefined).catch(() => undefined)
          : undefined;
        for (const metric of this.#perServer) metric.take(server, figures);
      }),
    );
    this.#perPair.take((await this.#threads.warmMetrics?.()) ?? new Map());
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}

interface ServerMetric {
  reset(): void;
  take(server: string, figures: ThreadMetrics | undefined): void;
}

type Read = (figures: ThreadMetrics) => number | undefined;

function serverMetrics(registry: Registry): ServerMetric[] {
  const registers = [registry];

  const gauge = (name: string, help: string, read: Read): ServerMetric => {
    const metric = new Gauge({ name: `understudy_${name}`, help, labelNames: ['server'], registers });
    return {
      reset: () => metric.reset(),
      take: (server, figures) => {
        const value = figures === undefined ? undefined : read(figures);
        if (value !== undefined) metric.set({ server }, value);
      },
    };
  };

  const counter = (name: string, help: string, read: Read): ServerMetric => {
    const metric = new Counter({ name: `understudy_${name}_total`, help, labelNames: ['server'], registers });
    return {
      reset: () => metric.reset(),
      take: (server, figures) => {
        const value = figures === undefined ? undefined : read(figures);
        if (value !== undefined) metric.inc({ server }, value);
      },
    };
  };

  const open = new Gauge({
    name: 'understudy_vault_open',
    help: '1 while the vault is open and followed.',
    labelNames: ['server'],
    registers,
  });
  const messages = new Counter({
    name: 'understudy_messages_total',
    help: 'Messages added, removed, or with changed flags.',
    labelNames: ['server', 'change'],
    registers,
  });
  const errors = new Counter({
    name: 'understudy_errors_total',
    help: 'Errors by code.',
    labelNames: ['server', 'code'],
    registers,
  });

  return [
    gauge(
      'lag_seconds',
      'Age of the oldest known change that is not committed; while stalled, time since the server was last looked at as a whole, not given when it never was.',
      (f) => (f.engine?.lagMs === undefined ? undefined : f.engine.lagMs / 1000),
    ),
    gauge('stalled', '1 while the server as a whole cannot be followed.', (f) =>
      f.engine === undefined ? undefined : f.engine.stalled ? 1 : 0,
    ),
    gauge('queue_depth', 'Accounts that wait for their turn.', (f) => f.engine?.queueDepth),
    gauge('connections', 'IMAP connections open now.', (f) => f.engine?.connections),
    gauge('vault_committed_lsn', 'Last committed LSN.', (f) => f.engine?.committedLsn),
    gauge(
      'messages_set_aside',
      'Messages that the server does not serve rightly now, as `understudy status` counts them.',
      (f) => f.engine?.messagesSetAside,
    ),
    gauge('first_pass_done', '1 once a whole pass has ended since the start.', (f) =>
      f.engine === undefined ? undefined : f.engine.passes > 0 ? 1 : 0,
    ),
    counter('bytes', 'Message bytes fetched.', (f) => f.engine?.bytesFetched),
    counter('records', 'Journal records committed.', (f) => f.engine?.recordsCommitted),
    counter('bursts', 'Bursts of removals.', (f) => f.engine?.bursts),
    counter('passes', 'Whole passes over the server.', (f) => f.engine?.passes),
    counter('vault_reopens', 'Times the vault was opened again after an error.', (f) => f.restarts),
    {
      reset: () => open.reset(),
      take: (server, figures) => open.set({ server }, figures?.engine === undefined ? 0 : 1),
    },
    {
      reset: () => messages.reset(),
      take: (server, figures) => {
        if (figures?.engine === undefined) return;
        messages.inc({ server, change: 'added' }, figures.engine.messagesAdded);
        messages.inc({ server, change: 'removed' }, figures.engine.messagesRemoved);
        messages.inc({ server, change: 'flags' }, figures.engine.flagsChanged);
      },
    },
    {
      reset: () => errors.reset(),
      take: (server, figures) => {
        for (const counts of [figures?.errorsByCode, figures?.engine?.errorsByCode]) {
          for (const [code, count] of Object.entries(counts ?? {})) errors.inc({ server, code }, count);
        }
      },
    },
  ];
}
