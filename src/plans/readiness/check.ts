/**
 * The check of readiness: every precondition of every plan, all looked at at once, each within its limit. Servers are written to only in the
 * account that the pair keeps for probes, and nothing is left there.
 */
import { type PairConfig, pairNamed, serverNamed, shadowedServers } from '../../config/index.ts';
import { accountFindings, accountsOfReplica, directoryFindings } from './accounts.ts';
import { bounded } from './bounded.ts';
import { diskFindings, journalFindings, secretFindings, warmFindings } from './near-line-findings.ts';
import type { ReadinessOptions, ReadinessPorts } from './ports.ts';
import { likenessFindings, serverFindings } from './server-findings.ts';
import { contentsFindings, type ProbeAccount, pinFindings, probeFindings } from './standby-findings.ts';
import { type Survey, surveyServer } from './survey.ts';
import type { Finding } from './types.ts';
import { doorFindings, fenceFinding, hookFindings, modeFindings, serviceFindings } from './way-findings.ts';

type Check = Promise<readonly Finding[]>;

/** All of a pair. `live` is the server that acts now, whatever it is called in the configuration. @throws CONFIG_UNKNOWN_PAIR, the signal's reason */
export async function checkPair(
  ports: ReadinessPorts,
  name: string,
  options: ReadinessOptions = {},
): Promise<readonly Finding[]> {
  const { config, clock } = ports;
  const pair = pairNamed(config, name);
  const { acting: source, former: target } = await ports.roles(name);
  const live = serverNamed(config, source);
  const standby = serverNamed(config, target);
  const directoryConfig = pair.directory === undefined ? undefined : config.directories[pair.directory];
  const secrets = secretFindings({
    [source]: live,
    [target]: standby,
    ...(directoryConfig === undefined ? {} : { [pair.directory ?? '']: directoryConfig }),
    ...(pair.probe === undefined ? {} : { probe: pair.probe }),
  });
  // Without its secret nothing else can be said about a server but that.
  if (secrets.some(({ state }) => state === 'red')) return secrets;

  const check = (
    id: string,
    title: string,
    work: (signal: AbortSignal) => Promise<Finding | readonly Finding[]>,
  ): Check => bounded(clock, options, { id, title }, work);
  const known = await accountsOfReplica(ports, source).catch(() => [] as readonly string[]);
  const probe = probeAccountOf(pair);
  const tried = [...new Set([...(probe ? [probe.account] : []), ...known, ...listed(ports, source)])];
  const survey = (server: string, signal: AbortSignal) =>
    surveyServer({ server, config: serverNamed(config, server), accounts: tried }, ports, {
      ...options,
      signal,
    });
  const surveys = new Map<string, Survey>();
  const surveyed = (role: 'live' | 'standby', server: string) =>
    check(`${role}.imap`, `${server}: IMAP answers`, async (signal) => {
      const found = await survey(server, signal);
      surveys.set(server, found);
      return serverFindings(role, found);
    });

  const writing = async (): Promise<readonly Finding[]> => {
    // One after the other: they share the probe account, and its mailboxes would be foreign to the comparison.
    const pins = await check('standby.pins', `${target}: UIDs can be pinned`, (signal) =>
      pinFindings(ports, { server: target, config: standby, probe }, { ...options, signal }),
    );
    const probes = await Promise.all(
      (
        [
          ['live', source, live],
          ['standby', target, standby],
        ] as const
      ).map(([role, server, serverConfig]) =>
        check(`${role}.probe`, `${server}: stores and serves mail`, (signal) =>
          probeFindings(ports, { role, server, config: serverConfig, probe }, { ...options, signal }),
        ),
      ),
    );
    return [...pins, ...probes.flat()];
  };

  const [onLive, onStandby, ...rest] = await Promise.all([
    surveyed('live', source),
    surveyed('standby', target),
    check('standby.contents', `${target}: empty or ours`, (signal) =>
      contentsFindings(ports, { source, target, config: standby }, { ...options, signal }),
    ),
    writing(),
    check('services', 'services answer', (signal) =>
      serviceFindings(
        ports,
        pair,
        [
          { role: 'live', server: source },
          { role: 'standby', server: target },
        ],
        { ...options, signal },
      ),
    ),
    check('directory.answers', 'the directory answers', (signal) =>
      directoryFindings(
        {
          name: pair.directory,
          open: () => ports.directory(name),
          accounts: known,
          liveHost: live.host,
          standbyHost: standby.host,
          hasRehome: pair.rehome.length > 0,
        },
        { ...options, signal },
      ),
    ),
    check('door', 'the front door leads to the acting server', () =>
      doorFindings(ports, { name, pair, acting: source }),
    ),
    check('hooks', 'commands of the pair can be run', () => hookFindings(pair)),
    check('journal', `${source}: its journal is not behind`, () => journalFindings(ports, source)),
    check('standby.warm', 'the standby is kept warm', async () =>
      warmFindings(await ports.warm(name), { pair: name, wanted: pair.warm, source }),
    ),
    check('disk', 'the journal has room', () => diskFindings(ports, [source])),
  ]);
  const [old, next] = [surveys.get(source), surveys.get(target)];
  const together = old && next ? likenessFindings(old, next) : [];
  const accounts = next
    ? await check('standby.accounts', `${target}: has the accounts`, (signal) =>
        accountFindings(known, next, { ...options, signal }),
      )
    : [];
  const findings = [
    ...(onLive ?? []),
    ...(onStandby ?? []),
    ...accounts,
    ...together,
    ...rest.flat(),
    fenceFinding(pair),
    ...modeFindings(pair),
    ...secrets,
  ];
  return withoutEchoes(findings);
}

/** A server that is followed: what its following needs. @throws CONFIG_UNKNOWN_SERVER, the signal's reason */
export async function checkServer(
  ports: ReadinessPorts,
  server: string,
  options: ReadinessOptions = {},
): Promise<readonly Finding[]> {
  const config = serverNamed(ports.config, server);
  const secrets = secretFindings({ [server]: config });
  if (secrets.some(({ state }) => state === 'red')) return secrets;
  const known = await accountsOfReplica(ports, server).catch(() => [] as readonly string[]);
  const accounts = [...new Set([...known, ...listed(ports, server)])];
  const found = await Promise.all([
    bounded(ports.clock, options, { id: 'live.imap', title: `${server}: IMAP answers` }, async (signal) => {
      const place = { server, config, accounts };
      return serverFindings('live', await surveyServer(place, ports, { ...options, signal }));
    }),
    bounded(ports.clock, options, { id: 'journal', title: `${server}: its journal is not behind` }, () =>
      journalFindings(ports, server),
    ),
    bounded(ports.clock, options, { id: 'disk', title: 'the journal has room' }, () =>
      diskFindings(ports, [server]),
    ),
  ]);
  return [...found.flat(), ...secrets];
}

export interface Checked {
  readonly pair?: string;
  readonly server?: string;
  readonly findings: readonly Finding[];
}

/** Every pair, and every followed server that is in none. */
export async function checkAll(
  ports: ReadinessPorts,
  options: ReadinessOptions = {},
): Promise<readonly Checked[]> {
  const pairs = Object.keys(ports.config.pairs);
  const paired = new Set(Object.values(ports.config.pairs).flatMap(({ live, standby }) => [live, standby]));
  const alone = shadowedServers(ports.config).filter((server) => !paired.has(server));
  return Promise.all([
    ...pairs.map(async (pair) => ({ pair, findings: await checkPair(ports, pair, options) })),
    ...alone.map(async (server) => ({ server, findings: await checkServer(ports, server, options) })),
  ]);
}

/** A server that is not reached is told once: what else failed for that is no news. */
function withoutEchoes(findings: readonly Finding[]): readonly Finding[] {
  const gone = findings.filter(({ id, state }) => id.endsWith('.imap') && state === 'red');
  const roles = gone.map(({ id }) => id.split('.')[0]);
  const echoes = new Set(roles.flatMap((role) => [`${role}.probe`, `${role}.pins`]));
  return findings.filter(({ id, state }) => state === 'green' || !echoes.has(id));
}

function listed(ports: ReadinessPorts, server: string): readonly string[] {
  return serverNamed(ports.config, server).accounts?.list.map(({ name }) => name) ?? [];
}

function probeAccountOf({ probe }: PairConfig): ProbeAccount | undefined {
  if (probe === undefined) return undefined;
  return { account: probe.account, ...(probe.secret === undefined ? {} : { secret: probe.secret.reveal() }) };
}
