/** The core of a process of its own: opens what an operation needs and closes it after. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Vault } from '../catalog/index.ts';
import { type Config, checkSecrets, directoryOf, pairNamed, serverNamed } from '../config/index.ts';
import { actingServer } from '../control/index.ts';
import { hasCode, type Log, UnderstudyError } from '../lib/index.ts';
import { plansIn } from '../plans/index.ts';
import { hasStandbyAtWork } from '../plans/mail/index.ts';
import type { MailDeps, Problem } from '../workloads/mail/index.ts';
import type { BringUpRequest, StandbyDeps } from '../workloads/mail/standby/index.ts';
import type { WarmPlace } from '../workloads/mail/warm/index.ts';
import { requireAccess } from './access.ts';
import type { Adapters } from './adapters.ts';
import { boundAccounts } from './bound-accounts.ts';
import type { Core } from './core.ts';
import { apiErrors } from './errors.ts';
import { asFollowed, placeFor, warmPairs } from './followed.ts';
import { planActionsInProcess } from './plans.ts';

export interface CoreParts {
  readonly config: Config;
  readonly adapters: Adapters;
  readonly log: Log;
}

export function inProcessCore(parts: CoreParts): Core {
  const { config, adapters, log } = parts;
  const vaultDir = (server: string) => vaultDirOf(config, server);

  const core: Core = {
    config,
    clock: adapters.clock,
    log,
    vaultDir,
    async withVaultWriter(server, work, { create } = { create: false }) {
      const dir = vaultDir(server);
      requireVaultAccess(dir);
      const isNew = !existsSync(dir);
      const vault = await adapters
        .openVault({ config, dir, log: log.child({ server }), mustExist: !create })
        .catch((error: unknown) => {
          throw ofStandby(config, server, error);
        });
      try {
        return await work(vault);
      } finally {
        await vault.close();
        // A first try that came to nothing (a wrong password, a wrong host) leaves nothing behind.
        if (isNew) await adapters.removeEmptyVault({ config, dir, log });
      }
    },
    async withReader(server, work) {
      const dir = vaultDir(server);
      requireVaultAccess(dir);
      const reader = await adapters
        .openReader({ config, dir, log: log.child({ server }) })
        .catch((error: unknown) => {
          throw ofStandby(config, server, error);
        });
      try {
        return await work(reader);
      } finally {
        await reader.close();
      }
    },
    async pairDirectory(pair) {
      const directory = config.directories[pairNamed(config, pair).directory ?? ''];
      return directory === undefined ? undefined : adapters.openDirectory(directory, log.child({ pair }));
    },
    mail: {
      shadowOnce: (server, options) =>
        withDeps(server, (mail, deps) => mail.shadowOnce(deps, options), { create: true }),
      restore: (server, request, options) =>
        withDeps(server, (mail, deps) => mail.restoreMail(deps, request, options)),
      verify: (server, request, options) =>
        withDeps(server, (mail, deps) => mail.verifyMail(deps, request, options)),
      bringUp: async (source, target, request, options) => {
        await refuseTaken(source, target, request);
        const held = await heldOf(source, target, request);
        const rest = held.length === 0 ? request : await without(held, source, request);
        const report = await withTarget(source, target, (mail, deps) =>
          mail.bringUpByCommand(deps, rest, options),
        );
        return { ...report, problems: [...held, ...report.problems] };
      },
      addMissing: addMissingWith(
        parts,
        oneAtATime((source, work) => core.withVaultWriter(source, work)),
      ),
      verifyAgainst: (source, target, request, options) =>
        withTarget(source, target, (mail, deps) => mail.verifyAgainst(deps, request, options)),
      status: async () => undefined,
      unprotected: () => 0,
    },
    warm: {
      status: async () => undefined,
      caughtUp: async (pair) => {
        throw notWarmHere(pair);
      },
      look: async (pair) => {
        throw notWarmHere(pair);
      },
      held: async (pair) =>
        (await restingFor(pair)) === undefined
          ? withWarmPlace(pair, (mail, place) => mail.heldBursts(place))
          : [],
      accept: async (pair, account) => {
        const acting = await restingFor(pair);
        if (acting !== undefined) throw notWarmWhile(pair, acting);
        return withWarmPlace(pair, (mail, place) => mail.acceptHeld(place, account));
      },
      pause: async () => {},
      keep: async () => {},
    },
    plans: planActionsInProcess(parts, () => core),
  };

  /**
   * The server that acts in the place of the pair's live one: while one does, no standby is kept warm, and nothing waits for any. What was held
   * before is on the server that acts.
   */
  async function restingFor(pair: string): Promise<string | undefined> {
    const { live } = pairNamed(config, pair);
    const control = await adapters.readControl(config);
    try {
      const acting = actingServer(config, control, pair);
      return acting === live ? undefined : acting;
    } finally {
      await control.close();
    }
  }

  /** What is held is remembered beside the journal of the pair's live server. */
  async function withWarmPlace<T>(
    pair: string,
    work: (mail: Awaited<ReturnType<Adapters['mail']>>, place: WarmPlace) => Promise<T>,
  ): Promise<T> {
    const { live, standby } = pairNamed(config, pair);
    const mail = await adapters.mail();
    return core.withReader(live, async (reader) =>
      work(mail, {
        reader,
        target: standby,
        config: serverNamed(config, standby),
        memoryFile: warmMemoryFile(config, pair, live),
        burst: serverNamed(config, live).shadow.burst,
        clock: adapters.clock,
        log: log.child({ pair, server: standby }),
      }),
    );
  }

  async function withTarget<T>(
    source: string,
    target: string,
    work: (mail: Awaited<ReturnType<Adapters['mail']>>, deps: StandbyDeps) => Promise<T>,
  ): Promise<T> {
    const place = placeOf(parts, source, target);
    const mail = await adapters.mail();
    return core.withReader(source, (reader) => work(mail, { ...place, reader }));
  }

  /** Whose people work on it now, or what a plan works on, is no place to bring another server's mail to. */
  async function refuseTaken(source: string, target: string, request: BringUpRequest): Promise<void> {
    serverNamed(config, target);
    const control = await adapters.readControl(config);
    try {
      const place = placeFor(config, control, source, target);
      if (place === 'serves') {
        throw apiErrors.make(
          'API_TARGET_SERVES',
          `${target} is shadowed itself: people work on it, so the mail of another server is not brought there`,
        );
      }
      refuseBusy(config, control, target);
      if (place === 'own-accounts') await refuseOthersOf(source, target, request);
    } finally {
      await control.close();
    }
  }

  /** An account that the source has no more may be one of the target's own by now. */
  async function refuseOthersOf(
    source: string,
    target: string,
    { at, accounts }: BringUpRequest,
  ): Promise<void> {
    await core.withReader(source, async ({ catalog }) => {
      const living = new Set(catalog.accountNames());
      // One that is named and gone is taken as it was last.
      const other = (accounts ?? catalog.accountNames(at)).find((account) => !living.has(account));
      if (other === undefined) return;
      throw apiErrors.make(
        'API_TARGET_SERVES',
        `${other} is no account of ${source} any more, and ${target} has accounts of its own: people may work on that one there`,
        {
          remedy: `Name accounts that ${source} has now with --account; where nobody works on ${target}, take \`accounts\` from it in the configuration.`,
        },
      );
    });
  }

  /** Accounts that a burst holds back from the newest state; with `at` somebody has chosen the state. */
  async function heldOf(
    source: string,
    target: string,
    { at, accounts }: BringUpRequest,
  ): Promise<Problem[]> {
    if (at !== undefined) return [];
    const problems: Problem[] = [];
    for (const [pair, { live, standby, warm }] of Object.entries(config.pairs)) {
      if (!warm || live !== source || standby !== target) continue;
      for (const { account, removed, of, before } of await core.warm.held(pair)) {
        if (accounts !== undefined && !accounts.includes(account)) continue;
        const { code, message, remedy } = apiErrors.make(
          'API_BURST_HELD',
          `${removed} of ${of} messages went in a burst, which is held: the account is left as it is; ${before} is the state before`,
          { remedy: `To let it go to the standby: understudy standby accept ${pair} --account ${account}` },
        );
        problems.push({ account, code, message, remedy });
      }
    }
    return problems;
  }

  async function without(
    held: readonly Problem[],
    source: string,
    request: BringUpRequest,
  ): Promise<BringUpRequest> {
    const left = new Set(held.map(({ account }) => account));
    const all =
      request.accounts ??
      (await core.withReader(source, async ({ catalog }) =>
        catalog.accounts().flatMap(({ account, goneLsn }) => (goneLsn === undefined ? [account] : [])),
      ));
    return { ...request, accounts: all.filter((account) => !left.has(account)) };
  }

  async function withDeps<T>(
    server: string,
    work: (mail: Awaited<ReturnType<Adapters['mail']>>, deps: MailDeps) => Promise<T>,
    vaultOptions = { create: false },
  ): Promise<T> {
    const followed = asFollowed(config, server);
    // Before the vault is opened: a missing secret must change nothing, not even make a folder.
    checkSecrets(serverNamed(followed, server));
    const mail = await adapters.mail();
    return core.withVaultWriter(
      server,
      async (vault) => work(mail, await mailDeps({ ...parts, config: followed }, server, vault)),
      vaultOptions,
    );
  }

  return core;
}

/** A standby has no replica of its own, and shadowing it would be refused: its mail is in the replica of its live server. */
function ofStandby(config: Config, server: string, error: unknown): unknown {
  if (!hasCode(error, 'CATALOG_VAULT_MISSING') || config.servers[server]?.accounts !== undefined)
    return error;
  const pair = Object.values(config.pairs).find(({ standby }) => standby === server);
  if (pair === undefined) return error;
  const remedy = `${server} stands by for ${pair.live} and has no replica of its own. To compare it: understudy verify ${pair.live} --against ${server} · for anything else name ${pair.live}`;
  return new UnderstudyError(error.code, { ...error, summary: '', remedy }, error.message, { cause: error });
}

/** The other server of a bringing up. @throws CONFIG_UNKNOWN_SERVER, CONFIG_SECRET_… */
function placeOf(
  { config, adapters, log }: CoreParts,
  source: string,
  target: string,
): Omit<StandbyDeps, 'reader'> {
  const targetConfig = serverNamed(asFollowed(config, target), target);
  checkSecrets(targetConfig);
  return {
    source,
    target,
    config: targetConfig,
    clock: adapters.clock,
    log: log.child({ source, target }),
  };
}

/** People may work there: nothing of theirs is touched. `withVault` lends the open vault of the source. */
export function addMissingWith(
  parts: CoreParts,
  withVault: Core['withVaultWriter'],
): Core['mail']['addMissing'] {
  const { config, adapters } = parts;
  return async (source, target, request, options) => {
    const place = placeOf(parts, source, target);
    const control = await adapters.readControl(config);
    try {
      refuseBusy(config, control, target);
      if (warmPairs(config, control).some((pair) => pair.target === target)) {
        throw apiErrors.make(
          'API_TARGET_BUSY',
          `${target} is kept warm: what is added there, and is not on ${source}, would be taken away again`,
          { remedy: `Restore it on ${source}, from where it reaches ${target} by itself.` },
        );
      }
    } finally {
      await control.close();
    }
    const mail = await adapters.mail();
    return withVault(source, (vault) => mail.addMissing({ ...place, vault }, request, options));
  };
}

/** Two at once in this process would lock each other out of the vault. */
function oneAtATime(withVault: Core['withVaultWriter']): Core['withVaultWriter'] {
  let last: Promise<unknown> = Promise.resolve();
  return (source, work) => {
    const mine = last.then(() => withVault(source, work));
    last = mine.catch(() => {}); // Its caller has the error.
    return mine;
  };
}

/** @throws API_TARGET_BUSY while a plan works on it */
function refuseBusy(
  config: Config,
  control: Awaited<ReturnType<Adapters['readControl']>>,
  target: string,
): void {
  const plan = plansIn(control, () => false).find((one) => {
    const pair = config.pairs[one.pair];
    return hasStandbyAtWork(one) && (pair?.live === target || pair?.standby === target);
  });
  if (plan === undefined) return;
  throw apiErrors.make('API_TARGET_BUSY', `plan ${plan.id} works on ${target} and has not ended`, {
    remedy: `See it: understudy plan show ${plan.id} · go on with it: understudy plan resume ${plan.id}`,
  });
}

function notWarmHere(pair: string): Error {
  return apiErrors.make(
    'API_STANDBY_NOT_WARM',
    `no service runs, so the standby of ${pair} is not kept warm`,
  );
}

function notWarmWhile(pair: string, acting: string): Error {
  return apiErrors.make(
    'API_STANDBY_NOT_WARM',
    `${acting} acts for ${pair} now, so no standby is kept warm and nothing waits for one`,
    { remedy: `What a burst took before is on ${acting}: see the plan with understudy plan list ${pair}` },
  );
}

/** Where it is remembered how far the standby of a pair is behind the journal of `source`. */
export function warmMemoryFile(config: Config, pair: string, source: string): string {
  return join(vaultDirOf(config, source), `warm-${pair}.sqlite`);
}

/** What the mail workload works with on this server. */
export async function mailDeps(parts: CoreParts, server: string, vault: Vault): Promise<MailDeps> {
  const { config, adapters, log } = parts;
  const serverConfig = serverNamed(config, server);
  const directoryConfig = directoryOf(config, server);
  const serverLog = log.child({ server });
  return {
    server,
    config: serverConfig,
    vault,
    clock: adapters.clock,
    log: serverLog,
    ...(directoryConfig === undefined
      ? {}
      : {
          directory: boundAccounts(
            await adapters.openDirectory(directoryConfig, serverLog),
            config,
            server,
            () =>
              vault.catalog
                .accounts()
                .flatMap(({ account, goneLsn }) => (goneLsn === undefined ? [account] : [])),
          ),
        }),
  };
}

/** What cannot be seen looks as if it were not there. @throws API_ACCESS_DENIED */
function requireVaultAccess(dir: string): void {
  requireAccess(dir);
  requireAccess(join(dir, 'journal'));
}

/** @throws CONFIG_UNKNOWN_SERVER */
export function vaultDirOf(config: Config, server: string): string {
  serverNamed(config, server);
  return join(config.dataDir, server);
}
