import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { pairNamed, serverNamed, shadowedServers } from '../../config/index.ts';
import { actingServer } from '../../control/index.ts';
import { hasCode } from '../../lib/index.ts';
import { lossOf } from '../../plans/mail/index.ts';
import { type ListenerStats, proxyStats } from '../../rehome/index.ts';
import type { Core, LiveStatus, WarmLive } from '../core.ts';
import { asOperatingError } from '../defects.ts';
import { defineOperation } from '../operation.ts';
import { count, lsn, problems } from './shapes.ts';

const problemOfServer = z.object({ code: z.string(), message: z.string(), remedy: z.string() });

const pairStatus = z.object({
  pair: z.string(),
  live: z.string(),
  standby: z.string(),
  /** The server that people work on now. */
  acting: z.string(),
  /** The standby that is kept warm; absent where none is kept so now. */
  warm: z
    .object({
      source: z.string(),
      target: z.string(),
      phase: z.enum(['starting', 'filling', 'following', 'held', 'stalled', 'down']),
      /** Age of the oldest commit that is not on the standby yet, apart from accounts that are held, or that `problems` or `incomplete` name. */
      lagMs: z.number().optional(),
      lsn: lsn.optional(),
      /** Accounts with something that is not on the standby yet, held ones apart. */
      accountsBehind: count.optional(),
      etaMs: z.number().optional(),
      /** Bursts of removals that wait for an operator before they go to the standby. */
      held: z
        .array(z.object({ account: z.string(), removed: count, of: count, before: z.string() }))
        .readonly(),
      problem: problemOfServer.optional(),
      problems,
      /** Accounts that wait for the journal, which does not hold one of their mailboxes as a whole yet. */
      incomplete: z.array(z.string()).readonly(),
    })
    .optional(),
  /** What a failover would lose now, as far as it can be known; absent without a replica of the acting server. */
  loss: z
    .object({
      sentence: z.string(),
      /** Everything seen up to then is held, RFC 3339. */
      committedAt: z.string(),
      /** When the acting server was last looked at as a whole, RFC 3339. */
      lastPassAt: z.string().optional(),
      /** Age of the oldest change that was seen and not committed. */
      lagMs: z.number(),
      /** The server waits for the commit of what it pushes. */
      synchronous: z.boolean(),
    })
    .optional(),
  /** The front door; absent where the pair has none. */
  door: z
    .object({
      mode: z.enum(['open', 'hold', 'closed', 'not-running', 'silent']),
      /** Where it leads, or will lead. */
      server: z.string().optional(),
      clients: count,
      waiting: count,
    })
    .optional(),
  /** The newest plan of the pair. */
  plan: z.object({ id: z.string(), kind: z.string(), state: z.string(), startedAt: z.string() }).optional(),
  problem: problemOfServer.optional(),
});

export const status = defineOperation({
  name: 'status',
  permission: 'read',
  summary: 'Servers and pairs: how far they are followed, who acts, and what does not go well.',
  input: z.strictObject({}),
  output: z.object({
    site: z.string(),
    /** False: no service runs, and the figures are those of the vaults at rest. */
    running: z.boolean(),
    servers: z
      .array(
        z.object({
          server: z.string(),
          host: z.string(),
          state: z.enum([
            'not-shadowed',
            'no-journal',
            'at-rest',
            'starting',
            'baseline',
            'following',
            'stalled',
            'down',
          ]),
          /** Age of the oldest known change that is not committed; while stalled, time since the last whole pass, absent without one. */
          lagMs: z.number().optional(),
          etaMs: z.number().optional(),
          lsn: lsn.optional(),
          /** Wall time of the newest commit: what would be lost now is what changed since, RFC 3339. */
          committedAt: z.string().optional(),
          lastPassAt: z.string().optional(),
          accounts: count.optional(),
          messages: count.optional(),
          messagesSetAside: count.optional(),
          queueDepth: count.optional(),
          /** Since the service started: many messages that went at once, and the state just before. */
          bursts: z
            .array(z.object({ account: z.string(), removed: count, of: count, before: z.string() }))
            .readonly()
            .optional(),
          problem: problemOfServer.optional(),
          problems,
        }),
      )
      .readonly(),
    pairs: z.array(pairStatus).readonly(),
  }),
  positional: [],
  placement: 'live',
  longRunning: false,
  sentence: () => 'looked at the status',
  async handler(core) {
    const servers = await Promise.all(Object.keys(core.config.servers).map((name) => statusOf(core, name)));
    const pairs = await Promise.all(Object.keys(core.config.pairs).map((name) => pairStatusOf(core, name)));
    return {
      site: core.config.site,
      running: servers.some((server) => server.live),
      servers: servers.map(withoutLive),
      pairs,
    };
  },
});

type ServerStatus = Awaited<ReturnType<typeof statusOf>>;

function withoutLive({ live: _, ...rest }: ServerStatus) {
  return rest;
}

async function statusOf(core: Core, name: string) {
  const host = core.config.servers[name]?.host ?? '';
  // A standby that acts is followed although the configuration gives it no accounts.
  const live = await core.mail.status(name);
  const atRest = await replicaOf(core, name);
  const shadowed = shadowedServers(core.config).includes(name);
  return {
    server: name,
    host,
    problems: [],
    ...atRest,
    ...(live === undefined ? { state: stateAtRest(shadowed, atRest.lsn) } : liveFields(live)),
    live: live !== undefined,
  };
}

function stateAtRest(shadowed: boolean, lsn: number | undefined) {
  if (lsn !== undefined) return 'at-rest' as const;
  return shadowed ? ('no-journal' as const) : ('not-shadowed' as const);
}

function liveFields(live: LiveStatus) {
  if (live.phase === 'down') return { state: 'down' as const, problem: live.problem };
  return {
    state: live.phase,
    lsn: live.committedLsn,
    queueDepth: live.queueDepth,
    problems: live.problems,
    bursts: live.bursts,
    ...(live.lagMs === undefined ? {} : { lagMs: live.lagMs }),
    // Until a source has named them, those of the replica.
    ...(live.accounts === undefined ? {} : { accounts: live.accounts }),
    ...(live.etaMs === undefined ? {} : { etaMs: live.etaMs }),
    ...(live.lastPassAt === undefined ? {} : { lastPassAt: new Date(live.lastPassAt).toISOString() }),
    ...(live.problem === undefined ? {} : { problem: live.problem }),
  };
}

async function pairStatusOf(core: Core, name: string): Promise<z.input<typeof pairStatus>> {
  const { live, standby } = pairNamed(core.config, name);
  const place = { pair: name, live, standby };
  try {
    const acting = await core.plans.withControl((control) => actingServer(core.config, control, name));
    const plan = (await core.plans.list(name)).at(-1);
    const [warm, door, loss] = await Promise.all([
      core.warm.status(name),
      doorOf(core, name),
      lossOfActing(core, acting),
    ]);
    return {
      ...place,
      acting,
      ...(door === undefined ? {} : { door }),
      ...(loss === undefined ? {} : { loss }),
      ...(warm === undefined ? {} : { warm: warmFields(warm) }),
      ...(plan === undefined
        ? {}
        : {
            plan: {
              id: plan.id,
              kind: plan.kind,
              state: plan.state,
              startedAt: new Date(plan.startedAt).toISOString(),
            },
          }),
    };
  } catch (error) {
    // One pair that cannot be told of hides no other.
    const { code, message, remedy } = asOperatingError(error);
    return { ...place, acting: live, problem: { code, message, remedy } };
  }
}

async function doorOf(core: Core, pair: string): Promise<z.input<typeof pairStatus>['door']> {
  if (!pairNamed(core.config, pair).rehome.some(({ kind }) => kind === 'proxy')) return undefined;
  try {
    const stats = await proxyStats(core.config, pair, { clock: core.clock });
    if (stats === undefined) return { mode: 'not-running', clients: 0, waiting: 0 };
    const { state, listeners } = stats;
    const sum = (of: (listener: ListenerStats) => number) =>
      listeners.reduce((total, listener) => total + of(listener), 0);
    return {
      mode: state.mode,
      ...(state.mode === 'closed' ? {} : { server: state.server }),
      clients: sum(({ connected }) => connected),
      waiting: sum(({ waiting }) => waiting),
    };
  } catch (error) {
    if (!hasCode(error, 'REHOME_PROXY_SILENT')) throw error;
    return { mode: 'silent', clients: 0, waiting: 0 };
  }
}

async function lossOfActing(core: Core, server: string): Promise<z.input<typeof pairStatus>['loss']> {
  try {
    const live = await core.mail.status(server);
    const lag =
      live === undefined || live.phase === 'down'
        ? undefined
        : {
            lagMs: live.uncommittedMs,
            committedLsn: live.committedLsn,
            unprotected: core.mail.unprotected(server, live.lastPass),
            ...(live.lastPassAt === undefined ? {} : { lastPassAt: live.lastPassAt }),
          };
    const loss = await core.withReader(server, async ({ catalog }) =>
      lossOf(catalog, lag, {
        synchronous: lag !== undefined && serverNamed(core.config, server).push.mode === 'synchronous',
        nowMs: core.clock.wallMs(),
      }),
    );
    if (loss === undefined) return undefined;
    return {
      sentence: loss.sentence,
      committedAt: new Date(loss.committedAt).toISOString(),
      lagMs: loss.lagMs,
      synchronous: loss.synchronous,
      ...(loss.lastPassAt === undefined ? {} : { lastPassAt: new Date(loss.lastPassAt).toISOString() }),
    };
  } catch (error) {
    if (hasCode(error, 'CATALOG_VAULT_MISSING')) return undefined;
    throw error;
  }
}

function warmFields(warm: WarmLive) {
  const { source, target } = warm;
  if (warm.phase === 'down') {
    return {
      source,
      target,
      phase: warm.phase,
      problem: warm.problem,
      held: [],
      problems: [],
      incomplete: [],
    };
  }
  const { phase, lagMs, appliedLsn, accountsBehind, etaMs, held, problem, problems: each, incomplete } = warm;
  return {
    source,
    target,
    phase,
    lagMs,
    lsn: appliedLsn,
    accountsBehind,
    held: held.map(({ account, removed, of, before }) => ({ account, removed, of, before })),
    problems: each,
    incomplete,
    ...(etaMs === undefined ? {} : { etaMs }),
    ...(problem === undefined ? {} : { problem }),
  };
}

interface Replica {
  readonly lsn?: number;
  readonly committedAt?: string;
  readonly accounts?: number;
  readonly messages?: number;
  readonly messagesSetAside?: number;
  readonly problem?: { code: string; message: string; remedy: string };
}

/** What the catalog knows; nothing where there is no journal, and the error where it cannot be read. */
async function replicaOf(core: Core, server: string): Promise<Replica> {
  try {
    if (!(await exists(core.vaultDir(server)))) return {};
    return await core.withReader(server, async ({ catalog }) => {
      const { accounts, messages } = catalog.totals();
      const last = catalog.lastCommit();
      return {
        ...(last === undefined ? {} : { lsn: last.lsn, committedAt: new Date(last.time).toISOString() }),
        accounts,
        messages,
        messagesSetAside: catalog.setAside().length,
      };
    });
  } catch (error) {
    if (hasCode(error, 'CATALOG_VAULT_MISSING')) return {};
    const { code, message, remedy } = asOperatingError(error);
    return { problem: { code, message, remedy } };
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
