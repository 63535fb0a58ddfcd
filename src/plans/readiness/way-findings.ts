/** The ways by which clients follow and the old server is fenced: front door, services behind it, programs of the operator. */
import { access, constants, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { type PairConfig, portOf, serverNamed } from '../../config/index.ts';
import { messageOf } from '../../lib/index.ts';
import { TIMEOUT_MS } from './bounded.ts';
import { amber, fromError, green, named, red } from './finding.ts';
import type { ReadinessOptions, ReadinessPorts } from './ports.ts';
import type { Finding } from './types.ts';

type ProxyEntry = Extract<PairConfig['rehome'][number], { kind: 'proxy' }>;

function proxiesOf(pair: PairConfig): readonly ProxyEntry[] {
  return pair.rehome.filter((entry): entry is ProxyEntry => entry.kind === 'proxy');
}

/** Does the front door run and lead to the server that acts? Where it does not run, could it? */
export async function doorFindings(
  ports: Pick<ReadinessPorts, 'doorStats'>,
  place: {
    readonly name: string;
    readonly pair: PairConfig;
    readonly acting: string;
    /** Whoever asks goes on to lead it where it belongs. */
    readonly isSetRight?: boolean;
  },
): Promise<Finding[]> {
  const subject = { id: 'door', title: 'the front door leads to the acting server' };
  const proxies = proxiesOf(place.pair);
  if (proxies.length === 0) return [];
  let stats: Awaited<ReturnType<ReadinessPorts['doorStats']>>;
  try {
    stats = await ports.doorStats(place.name);
  } catch (error) {
    return [fromError(subject, error)];
  }
  const listens = proxies.map(({ listen }) => `${listen.host}:${listen.port}`);
  if (stats !== undefined) {
    const { state } = stats;
    if (state.mode === 'open' && state.server === place.acting) {
      return [green(subject, `to ${place.acting}, from ${named(listens)}`)];
    }
    const is =
      state.mode === 'closed'
        ? 'closed'
        : `${state.mode === 'hold' ? 'on hold for' : 'open to'} ${state.server}`;
    const misled = place.isSetRight ? amber : red;
    return [
      misled(
        subject,
        `it is ${is}; ${place.acting} acts`,
        `A plan that was interrupted leaves it so: understudy plan list ${place.name}, then plan resume or plan rollback.`,
      ),
    ];
  }
  const taken: string[] = [];
  for (const { listen } of proxies) {
    const why = await whyTaken(listen.host, listen.port);
    if (why !== undefined) taken.push(why);
  }
  if (taken.length > 0) {
    return [
      red(
        subject,
        `it does not run, and could not be started: ${taken.join('; ')}`,
        'Find who has the port (`ss -ltnp`), or give the entry of `rehome` another `listen`.',
      ),
    ];
  }
  return [
    amber(
      subject,
      `it does not run; free to listen on: ${named(listens)}`,
      `Start it, and let clients connect to it before the day: understudy proxy ${place.name}`,
    ),
  ];
}

/** Undefined: the address is free. */
function whyTaken(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(messageOf(error)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** Do the services that the front door leads to answer on both servers? */
export async function serviceFindings(
  ports: ReadinessPorts,
  pair: PairConfig,
  sides: readonly { readonly role: 'live' | 'standby'; readonly server: string }[],
  options: ReadinessOptions,
): Promise<Finding[]> {
  const services = [...new Set(proxiesOf(pair).map(({ to }) => to))];
  if (services.length === 0) return [];
  return Promise.all(
    sides.map(async ({ role, server }) => {
      const subject = { id: `${role}.services`, title: `${server}: its services answer` };
      const config = serverNamed(ports.config, server);
      const silent = await Promise.all(
        services.map(async (service) => {
          const port = portOf(config, service);
          const why = await whyUnreached(config.host, port, options.timeoutMs ?? TIMEOUT_MS);
          return why === undefined ? [] : [`${service} on port ${port} (${why})`];
        }),
      );
      const failed = silent.flat();
      if (failed.length === 0) return green(subject, services.join(', '));
      return red(
        subject,
        `no connection to ${failed.join(', ')}`,
        `Start them on ${server}, or give their ports: \`servers.${server}.services\`.`,
      );
    }),
  );
}

/** Undefined: a connection stands. */
function whyUnreached(host: string, port: number, withinMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (why: string | undefined) => {
      socket.destroy();
      resolve(why);
    };
    socket.setTimeout(withinMs, () => end(`none within ${withinMs} ms`));
    socket.once('connect', () => end(undefined));
    socket.once('error', (error) => end(messageOf(error)));
  });
}

/** Are the operator's programs there and executable? They are not run. */
export async function hookFindings(pair: PairConfig): Promise<Finding[]> {
  const hooks = [...pair.rehome, ...pair.fence].flatMap((entry) => {
    return entry.kind === 'command' ? [entry.run, entry.isDone, entry.undo] : [];
  });
  const programs = [...new Set(hooks.flatMap((program) => program?.[0] ?? []))];
  if (programs.length === 0) return [];
  const subject = { id: 'hooks', title: 'commands of the pair can be run' };
  const wrong: string[] = [];
  for (const program of programs) {
    const why = await whyNotExecutable(program);
    if (why !== undefined) wrong.push(`${program}: ${why}`);
  }
  if (wrong.length === 0) return [green(subject, named(programs))];
  return [
    red(
      subject,
      wrong.join('; '),
      'Install the program where the configuration names it, executable for the user that runs understudy (chmod +x).',
    ),
  ];
}

async function whyNotExecutable(program: string): Promise<string | undefined> {
  const places = program.includes('/')
    ? [program]
    : (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program));
  let reason = 'not in PATH';
  for (const place of places) {
    try {
      if (!(await stat(place)).isFile()) {
        reason = 'not a file';
        continue;
      }
      await access(place, constants.X_OK);
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES') reason = 'not executable';
      else if (program.includes('/')) reason = messageOf(error);
    }
  }
  return reason;
}

/** Nobody may count on what does not happen. Pure. */
export function modeFindings({ failover }: PairConfig): Finding[] {
  if (failover.mode === 'manual') return [];
  const subject = { id: 'mode', title: 'who starts a failover' };
  return [
    amber(
      subject,
      'the configuration says automatic, and this version starts none by itself',
      'Let your monitoring call somebody; then: understudy failover PAIR. `failover: { mode: manual }` ends this finding.',
    ),
  ];
}

/** Something must keep clients off the old server; the design refuses a failover without. Pure. */
export function fenceFinding(pair: PairConfig, options: { readonly someAccounts?: boolean } = {}): Finding {
  const subject = { id: 'fence', title: 'the old server can be fenced' };
  // The front door and commands know no accounts.
  const ways = options.someAccounts
    ? []
    : [
        ...(proxiesOf(pair).length > 0 ? ['the front door is closed to it'] : []),
        ...pair.fence.map(({ run }) => `command ${run[0]}`),
      ];
  const unbound = pair.directory !== undefined && pair.failover.unbind;
  if (ways.length > 0) {
    return green(subject, [...ways, ...(unbound ? ['unbound in the directory'] : [])].join(', '));
  }
  const remedy =
    'Add a proxy to `rehome`, or a `fence` command (power off, firewall), or a `directory` to the pair; or make sure by hand that it stays down, and say so with --reason.';
  if (unbound) {
    return amber(
      subject,
      'its accounts are unbound in the directory: who does not ask the directory still reaches it',
      remedy,
    );
  }
  return red(subject, 'nothing keeps clients off it, should it come back', remedy);
}
