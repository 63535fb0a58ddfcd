/** What has been found on the former server since its accounts moved: told with the plan, for its report was made before. */
import type { Lsn } from '../journal/index.ts';
import { hasCode } from '../lib/index.ts';
import type { PlanRecord } from '../plans/index.ts';
import type { LostMessage, TakeOverReport } from '../plans/mail/index.ts';
import type { Core } from './core.ts';

const MOST = 10_000;

/** The record with the messages that its report could not know. A look at the former server finds them: `shadow SERVER --once`. */
export async function withFoundLater(core: Core, plan: PlanRecord): Promise<PlanRecord> {
  const report = plan.report as TakeOverReport | undefined;
  const { from, at, accounts } = plan.parameters as {
    readonly from?: string;
    readonly at?: number;
    readonly accounts?: readonly string[];
  };
  const ended = plan.state === 'done' || plan.state === 'committed';
  if (plan.kind !== 'failover' || !ended || report?.at === undefined) return plan;
  if (from === undefined || at !== undefined) return plan;
  const lost = await lostSince(core, from, report.at.lsn, accounts);
  return lost === undefined ? plan : { ...plan, report: { ...report, lost } as never };
}

async function lostSince(
  core: Core,
  server: string,
  since: Lsn,
  accounts: readonly string[] | undefined,
): Promise<readonly LostMessage[] | undefined> {
  try {
    const { laterThan } = await import('../workloads/mail/carry-over/index.ts');
    return await core.withReader(server, async (reader) => {
      const { messages } = await laterThan(reader, since, accounts);
      return messages.slice(0, MOST).map(({ account, mailbox, uid, date, sender, subject, messageId }) => ({
        account,
        mailbox,
        uid,
        date,
        sender,
        subject,
        messageId,
      }));
    });
  } catch (error) {
    // The plan is told all the same where its journal has been moved away.
    if (hasCode(error, 'CATALOG_VAULT_MISSING')) return undefined;
    throw error;
  }
}
