/** What has been found on the former server since its accounts moved: told with the plan, for its report was made before. */
import type { VaultReader } from '../catalog/index.ts';
import { dataOf, type PairRoles } from '../control/index.ts';
import { hasCode } from '../lib/index.ts';
import { memoryIn, type PlanRecord } from '../plans/index.ts';
import {
  lostMessages,
  type Memory,
  type TakeOverParameters,
  type TakeOverReport,
} from '../plans/mail/index.ts';
import type { Core } from './core.ts';

/** The record with the messages that its report could not know. A look at the former server finds them: `shadow SERVER --once`. */
export async function withFoundLater(core: Core, plan: PlanRecord): Promise<PlanRecord> {
  const report = plan.report as TakeOverReport | undefined;
  const parameters = plan.parameters as TakeOverParameters;
  const ended = plan.state === 'done' || plan.state === 'committed';
  if (!ended || report?.at === undefined || parameters.at !== undefined) return plan;
  const unseen = await unseenBy(core, plan, report);
  if (unseen !== 'all' && unseen.length === 0) return plan;
  const again = await servedAgainAt(core, plan, parameters.from);
  try {
    const { lsn } = report.at;
    const lost = await core.withReader(parameters.from, async (reader) => {
      const until = again === undefined ? undefined : reader.catalog.commitAtTime(again)?.lsn;
      const accounts = unseen === 'all' ? allOf(parameters, reader.catalog) : unseen;
      return lostMessages(reader, lsn, { until, accounts });
    });
    return { ...plan, report: { ...report, lost } };
  } catch (error) {
    // The plan is told all the same where its journal has been moved away.
    if (hasCode(error, 'CATALOG_VAULT_MISSING')) return plan;
    throw error;
  }
}

/** Of a switchover those whose last look at the old server failed: what came late for all others has come along. */
async function unseenBy(
  core: Core,
  { id, kind }: PlanRecord,
  { problems }: TakeOverReport,
): Promise<readonly string[] | 'all'> {
  if (kind === 'failover') return 'all';
  if (problems.some(({ step, account }) => step === 'sweep' && account === '*')) return 'all';
  return core.plans.withControl((control) => {
    const unswept = memoryIn(control, id).get('unswept' satisfies keyof Memory);
    return (unswept as Memory['unswept'] | undefined) ?? [];
  });
}

/** The accounts that the plan is about, those among them that came later; undefined = every one. */
function allOf({ accounts, except }: TakeOverParameters, catalog: VaultReader['catalog']) {
  if (except === undefined) return accounts;
  const others = new Set(except);
  return catalog.accountNames().filter((account) => !others.has(account));
}

/** When a later plan made the server the acting one again, ms: what came to it since is nobody's loss. */
async function servedAgainAt(core: Core, plan: PlanRecord, server: string): Promise<number | undefined> {
  return core.plans.withControl((control) => {
    for (const entry of control.entries('roles', plan.pair)) {
      const { acting, since } = dataOf<PairRoles>(entry);
      if (acting === server && since > plan.startedAt) return since;
    }
    return undefined;
  });
}
