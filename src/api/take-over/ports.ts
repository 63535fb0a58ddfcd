/** The ports of failover and switchover, over what the operations have here: in a service its threads, else this process. */
import { connect } from 'node:net';
import { serverNamed } from '../../config/index.ts';
import { rolesOf, setRoles } from '../../control/index.ts';
import type { Directory } from '../../directory/index.ts';
import { invariant } from '../../lib/index.ts';
import {
  type FollowingPort,
  movedAccounts,
  setMovedAccounts,
  type TakeOverPorts,
  type WarmPort,
} from '../../plans/mail/index.ts';
import { fencesOf, proxyOutages, proxyStats, rehomesOf } from '../../rehome/index.ts';
import { laterThan } from '../../workloads/mail/carry-over/index.ts';
import type { Problem } from '../../workloads/mail/index.ts';
import { probeServer } from '../../workloads/mail/probe/index.ts';
import type { WarmStatus } from '../../workloads/mail/warm/index.ts';
import { asOperatingError } from '../defects.ts';
import { asFollowed } from '../followed.ts';
import { inProcessCore } from '../in-process.ts';
import type { PlanWiring } from '../plans.ts';
import { sessionsOf } from './sessions.ts';
import { standbyActions } from './standby-actions.ts';

/** What main.ts gives beside the wiring. */
export interface TakeOverWorld {
  /** The module that the command line begins with: a front door that does not run is started with it. */
  readonly entry: URL;
  /** The pair's directory; undefined where it has none. */
  directory(pair: string): Promise<Directory | undefined>;
}

export function takeOverPorts(wiring: PlanWiring, world: TakeOverWorld): TakeOverPorts {
  const { parts, core, control, journal } = wiring;
  const { config, adapters, log } = parts;
  const { clock } = adapters;
  const writer = () => {
    invariant(journal !== undefined, 'a plan that is only looked at writes nothing');
    return journal;
  };
  return {
    config,
    clock,
    log,
    withReader: (server, work) => core.withReader(server, work),
    changedSince: (server, since) =>
      core.withReader(server, async (reader) => {
        const { messages, flags, touched } = await laterThan(reader, since, undefined);
        return [...new Set([...messages, ...flags].map(({ account }) => account).concat(touched))].sort();
      }),
    standby: standbyActions(parts, core),
    following: followingPort(wiring),
    warm: (pair) => (config.pairs[pair]?.warm ? warmPort(wiring, pair) : undefined),
    directory: (pair) => world.directory(pair),
    rehomes: async ({ pair, plan }) => rehomesOf(config, pair, { clock, log, plan, entry: world.entry }),
    fences: async ({ pair, plan, from, to }) => fencesOf(config, pair, { clock, log, plan, from, to }),
    doorStats: (pair) => proxyStats(config, pair, { clock }),
    outages: (pair, span) => proxyOutages(config, pair, span, { clock }),
    answers: (server, withinMs) => greets(serverNamed(config, server), withinMs),
    sessions: sessionsOf(config, clock),
    probe: (server, { account, secret, write, signal }) => {
      const target = serverNamed(config, server);
      return probeServer(target, {
        account,
        write,
        clock,
        log,
        ...(secret === undefined ? {} : { secret }),
        ...(signal === undefined ? {} : { signal }),
        ...(write && target.services.lmtp !== undefined ? { lmtpPort: target.services.lmtp } : {}),
      });
    },
    roles: {
      read: async (pair) => rolesOf(config, control, pair),
      write: (roles) => setRoles(writer(), roles),
      moved: async (pair) => movedAccounts(control, pair),
      writeMoved: (moved) => setMovedAccounts(writer(), moved),
    },
  };
}

function followingPort({ parts, core, threads, followRoles }: PlanWiring): FollowingPort {
  const { config } = parts;
  /** For servers that no thread follows: a pass of our own. */
  const alone = (server: string) => inProcessCore({ ...parts, config: asFollowed(config, server) }).mail;
  return {
    continuous: threads !== undefined,
    follows: (server) => threads?.has(server) ?? false,
    async lag(server) {
      const status = await core.mail.status(server);
      if (status === undefined || status.phase === 'down') return undefined;
      const { uncommittedMs: lagMs, committedLsn, lastPass, lastPassAt } = status;
      const unprotected = core.mail.unprotected(server, lastPass);
      return { lagMs, committedLsn, unprotected, ...(lastPassAt === undefined ? {} : { lastPassAt }) };
    },
    async pass(server, options) {
      const thread = threads?.get(server);
      if (thread === undefined) return alone(server).shadowOnce(server, options);
      return thread.call('operate', { name: 'shadow', input: { server, once: true } }, options) as never;
    },
    async look(server, accounts, options) {
      const thread = threads?.get(server);
      if (thread === undefined) {
        const asked = new Set(accounts);
        const { problems } = await alone(server).shadowOnce(server, options);
        return problems.filter(({ account }) => asked.has(account));
      }
      const looks = accounts.map((user) => thread.call('push', { user, changes: [] }, options));
      const ended = await Promise.allSettled(looks);
      options.signal?.throwIfAborted();
      return ended.flatMap((look, index) =>
        look.status === 'fulfilled' ? [] : [problemOf(accounts[index] as string, look.reason)],
      );
    },
    followRoles: async () => followRoles?.(),
  };
}

function problemOf(account: string, error: unknown): Problem {
  const { code, message, remedy } = asOperatingError(error);
  return { account, code, message, remedy };
}

function warmPort({ core }: PlanWiring, pair: string): WarmPort {
  return {
    async status() {
      const live = await core.warm.status(pair);
      return live === undefined || live.phase === 'down' ? undefined : (live as WarmStatus);
    },
    held: () => core.warm.held(pair),
    caughtUp: (lsn, signal) => core.warm.caughtUp(pair, lsn, signal),
    pause: () => core.warm.pause(pair),
  };
}

/** Any byte will do: what answers nothing within that time is taken to be gone. */
function greets(
  {
    host,
    imap,
  }: { readonly host: string; readonly imap: { readonly port: number; readonly security: string } },
  withinMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: imap.port });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(withinMs, () => end(false));
    // With TLS the server waits for us to begin.
    if (imap.security === 'tls') socket.once('connect', () => end(true));
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
