import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { shadowedServers } from '../../config/index.ts';
import { hasCode } from '../../lib/index.ts';
import type { Core, LiveStatus } from '../core.ts';
import { asOperatingError } from '../defects.ts';
import { defineOperation } from '../operation.ts';
import { count, lsn, problems } from './shapes.ts';

const problemOfServer = z.object({ code: z.string(), message: z.string(), remedy: z.string() });

export const status = defineOperation({
  name: 'status',
  permission: 'read',
  summary: 'Servers, how far they are followed, and what does not go well.',
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
  }),
  positional: [],
  placement: 'live',
  longRunning: false,
  sentence: () => 'looked at the status',
  async handler(core) {
    const servers = await Promise.all(Object.keys(core.config.servers).map((name) => statusOf(core, name)));
    return {
      site: core.config.site,
      running: servers.some((server) => server.live),
      servers: servers.map(withoutLive),
    };
  },
});

type ServerStatus = Awaited<ReturnType<typeof statusOf>>;

function withoutLive({ live: _, ...rest }: ServerStatus) {
  return rest;
}

async function statusOf(core: Core, name: string) {
  const host = core.config.servers[name]?.host ?? '';
  const live = shadowedServers(core.config).includes(name) ? await core.mail.status(name) : undefined;
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
    lagMs: live.lagMs,
    lsn: live.committedLsn,
    accounts: live.accounts,
    queueDepth: live.queueDepth,
    problems: live.problems,
    bursts: live.bursts,
    ...(live.etaMs === undefined ? {} : { etaMs: live.etaMs }),
    ...(live.lastPassAt === undefined ? {} : { lastPassAt: new Date(live.lastPassAt).toISOString() }),
    ...(live.problem === undefined ? {} : { problem: live.problem }),
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
