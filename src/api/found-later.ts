/** What has been found on the former server since its accounts moved: told with the plan, for its report was made before. */
import { dataOf, type PairRoles } from '../control/index.ts';
import { hasCode } from '../lib/index.ts';
import type { PlanRecord } from '../plans/index.ts';
import { lostMessages, type TakeOverParameters, type TakeOverReport } from '../plans/mail/index.ts';
import type { Core } from './core.ts';

/** The record with the messages that its report could not know. A look at the former server finds them: `shadow SERVER --once`. */
export async function withFoundLater(core: Core, plan: PlanRecord): Promise<PlanRecord> {
  const report = plan.report as TakeOverReport | undefined;
  const { from, at } = plan.parameters as TakeOverParameters;
  const ended = plan.state === 'done' || plan.state === 'committed';
  if (!ended || report?.at === undefined || at !== undefined) return plan;
  const accounts = accountsInQuestion(plan, report);
  if (accounts === 'none') return plan;
  const again = await servedAgainAt(core, plan, from);
  try {
    const { lsn } = report.at;
    const lost = await core.withReader(from, async (reader) => {
      const until = again === undefined ? undefined : reader.catalog.commitAtTime(again)?.lsn;
      return lostMessages(reader, lsn, { until, accounts });
    });
    return { ...plan, report: { ...report, lost } };
  } catch (error) {
    // The plan is told all the same where its journal has been moved away.
    if (hasCode(error, 'CATALOG_VAULT_MISSING')) return plan;
    throw error;
  }
}

/** Of a switchover those whose last look at the old server failed: what came late for all others has come along. Undefined = all. */
function accountsInQuestion(
  { kind, parameters }: PlanRecord,
  { problems }: TakeOverReport,
): readonly string[] | undefined | 'none' {
  const { accounts } = parameters as TakeOverParameters;
  if (kind === 'failover') return accounts;
  if (problems.some(({ step, account }) => step === 'sweep' && account === '*')) return accounts;
  const unread = problems.flatMap(({ step, account }) =>
    step === 'sweep-pass' && account !== '*' ? [account] : [],
  );
  return unread.length === 0 ? 'none' : unread;
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
