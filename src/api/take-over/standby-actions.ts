/** What is done with a standby, by this thread: a reader of the source's vault for each call. */
import { checkSecrets, serverNamed } from '../../config/index.ts';
import type { StandbyPlace, StandbyPort } from '../../plans/mail/index.ts';
import { accountsOfReplica } from '../../plans/readiness/index.ts';
import { carryOver, laterThan } from '../../workloads/mail/carry-over/index.ts';
import {
  bringUp,
  declareFeatures,
  quickCompare,
  type StandbyDeps,
  verifyAgainst,
} from '../../workloads/mail/standby/index.ts';
import type { Core } from '../core.ts';
import { asFollowed } from '../followed.ts';
import type { CoreParts } from '../in-process.ts';

export function standbyActions({ config, adapters, log }: CoreParts, core: Core): StandbyPort {
  const { clock } = adapters;
  const withDeps = async <T>(
    { source, target }: StandbyPlace,
    work: (deps: StandbyDeps) => Promise<T>,
  ): Promise<T> => {
    const asConfigured = serverNamed(asFollowed(config, target), target);
    checkSecrets(asConfigured);
    // People wait for a plan: it goes as fast as the servers can.
    const { bandwidth: _, ...shadow } = asConfigured.shadow;
    const targetConfig = { ...asConfigured, shadow };
    return core.withReader(source, (reader) =>
      work({ source, reader, target, config: targetConfig, clock, log: log.child({ source, target }) }),
    );
  };
  return {
    features: async ({ source, target }, { untried, signal } = {}) =>
      declareFeatures(serverNamed(asFollowed(config, target), target), {
        clock,
        log,
        // Who has a replica of its own already may be asked for before the other has one.
        accounts: [...(await accountsOfReplica(core, source)), ...(await accountsOfReplica(core, target))],
        ...(untried === undefined ? {} : { untried }),
        ...(signal === undefined ? {} : { signal }),
      }),
    bringUp: (place, request, options) => withDeps(place, (deps) => bringUp(deps, request, options)),
    quickCompare: (place, request, options) =>
      withDeps(place, (deps) => quickCompare(deps, request, options)),
    verify: (place, request, options) => withDeps(place, (deps) => verifyAgainst(deps, request, options)),
    carryOver: (place, since, accounts, options) =>
      withDeps(place, async (deps) =>
        carryOver(deps, await laterThan(deps.reader, since, accounts), since, options),
      ),
  };
}
