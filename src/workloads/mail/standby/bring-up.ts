/**
 * Brings another mail server to what the replica says: mailboxes, UIDVALIDITY, UIDs, flags, dates and bodies. What is right is left as
 * it is; what is wrong is set right and named; what only the target holds steps aside.
 */
import { hasCode } from '../../../lib/index.ts';
import { bandwidthOf, problemOf, ServerFailures } from '../shadow/index.ts';
import type { ActionOptions } from '../types.ts';
import { AccountBringUp } from './account.ts';
import { BegunAnew } from './begin-anew.ts';
import { featuresOf } from './features.ts';
import { Costs } from './feeder.ts';
import { Connections, Lanes } from './lanes.ts';
import { accountsOnlyThere } from './only-there.ts';
import { Tally } from './tally.ts';
import { openTarget } from './target.ts';
import type { BringUpReport, BringUpRequest, StandbyDeps, TargetFeatures } from './types.ts';
import { wantedOf } from './wanted.ts';

/**
 * For a person who waits: as `bringUp`, but when the server fails as a whole it stops at once, each account that was not brought up is a
 * problem, and where none was @throws what the server fails with, or what the first account met.
 */
export async function bringUpByCommand(
  deps: StandbyDeps,
  request: BringUpRequest,
  options: ActionOptions = {},
): Promise<BringUpReport> {
  const failures = new CommandFailures();
  const report = await bringUp(deps, request, { ...options, failures });
  const { error } = failures;
  if (error !== undefined && report.accounts > 0 && failures.count === report.accounts) throw error;
  return report;
}

/** What single accounts met, and whether it is the server. */
class CommandFailures {
  readonly #failures = new ServerFailures();
  #first: unknown;
  #ofServer: unknown;
  #count = 0;

  well(): void {
    this.#failures.well();
  }

  failed(account: string, error: unknown, accounts: number): void {
    this.#first ??= error;
    this.#count += 1;
    if (this.#failures.failed(account, error, accounts)) this.#ofServer ??= error;
  }

  get isOfServer(): boolean {
    return this.#ofServer !== undefined;
  }

  get error(): unknown {
    return this.#ofServer ?? this.#first;
  }

  get count(): number {
    return this.#count;
  }
}

/**
 * Accounts that got mail last come first. Idempotent: interrupted or repeated it does what is left. Errors: CATALOG_ACCOUNT_UNKNOWN, the
 * signal's reason, and a replica that cannot be read; what concerns one account is a problem of the report.
 */
export async function bringUp(
  deps: StandbyDeps,
  request: BringUpRequest,
  options: ActionOptions & { readonly failures?: CommandFailures } = {},
): Promise<BringUpReport> {
  const { reader, target, config, clock } = deps;
  const { catalog } = reader;
  const { signal, progress, failures } = options;
  const wanted = await wantedOf(reader, request);
  const messages = wanted.accounts.reduce(
    (sum, account) => sum + (catalog.account(account, wanted.at)?.messageCount ?? 0),
    0,
  );
  const tally = new Tally(clock, { server: target, accounts: wanted.accounts.length, messages }, progress);
  signal?.throwIfAborted();
  const server = openTarget(deps, signal, deps.bandwidth ?? bandwidthOf(config, clock));
  const costs = new Costs();
  const connections = new Connections(request.connections ?? config.shadow.connections);
  /** Of the last account that asked; once UIDs could be set for one, of that. */
  let features: TargetFeatures | undefined;
  const unpinned = new Map<string, TargetFeatures>();

  const bring = async (account: string) => {
    await server.pool.use(account, async (connection) => {
      // Where UIDs cannot be set although there is an API, that may be for this account's sake alone: the next one asks for itself.
      const known = features?.pinUids || server.doveadm === undefined ? features : undefined;
      const mine = known ?? (await featuresOf(connection, server.doveadm, account, request.dryRun));
      if (!features?.pinUids) features = mine;
      if (!mine.pinUids) unpinned.set(account, mine);
      await new AccountBringUp(
        {
          reader,
          connection,
          anew: (work) => server.pool.use(account, work),
          lanesOf: (own) =>
            new Lanes({ connections, connect: () => server.pool.connect(account), log: deps.log }, own),
          doveadm: server.doveadm,
          pinsAtEnd: [],
          clock,
          at: wanted.at,
          dryRun: request.dryRun ?? false,
          checkBodies: request.checkBodies ?? false,
          features: mine,
          costs,
          tally,
          ...(signal === undefined ? {} : { signal }),
        },
        account,
        wanted,
      ).run();
    });
  };
  const waiting = [...wanted.accounts];
  const work = async () => {
    for (let account = waiting.shift(); account !== undefined; account = waiting.shift()) {
      signal?.throwIfAborted();
      if (failures?.isOfServer) {
        // Each further one would only take as long to fail as a connection does.
        failures.failed(account, failures.error, wanted.accounts.length);
        tally.problems.push(problemOf(account, failures.error));
        tally.accountsDone += 1;
        continue;
      }
      try {
        await bring(account).catch((error: unknown) => {
          if (!(error instanceof BegunAnew)) throw error;
          return bring(account);
        });
        failures?.well();
      } catch (error) {
        signal?.throwIfAborted();
        failures?.failed(account, error, wanted.accounts.length);
        if (hasCode(error, 'CATALOG_DAMAGED')) throw error;
        deps.log.warn({ account, err: error }, 'the account could not be brought up');
        tally.problems.push(problemOf(account, error));
      }
      tally.accountsDone += 1;
      tally.tell(account);
    }
  };
  try {
    const workers = wanted.accounts.flatMap(() =>
      connections.take() ? [work().finally(() => connections.giveBack())] : [],
    );
    await Promise.all(workers);
    const notKept = features?.pinUids
      ? [...unpinned].flatMap(([account, own]) => own.notKept.map((what) => ({ ...what, account })))
      : (features?.notKept ?? []);
    const isWhole = request.accounts === undefined && request.since === undefined;
    const onlyThere = isWhole
      ? await accountsOnlyThere(server, catalog, wanted.at, signal).catch((error: unknown) => {
          signal?.throwIfAborted();
          // What was done stands; that they could not be looked for is the server's fault, not an account's.
          tally.problems.push(problemOf('', error));
          return [];
        })
      : [];
    return {
      at: wanted.at,
      dryRun: request.dryRun ?? false,
      accounts: tally.accountsDone,
      mailboxes: tally.mailboxes,
      messagesWanted: tally.wanted,
      messagesPresent: tally.present,
      messagesRestored: tally.restored,
      bytesRestored: tally.bytes,
      flagsSet: tally.flagsSet,
      kept: tally.kept,
      repaired: tally.repaired,
      notKept: [...notKept, ...tally.notKept],
      onlyThere,
      elapsedMs: tally.elapsedMs,
      problems: tally.problems,
    };
  } finally {
    server.close();
  }
}
