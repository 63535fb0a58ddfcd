/** What each operation gives, as types for those that print it. */
import type { z } from 'zod';
import type { catalogRebuild } from './catalog-rebuild.ts';
import type { check } from './check.ts';
import type { checkpoint } from './checkpoint.ts';
import type { exportMail } from './export.ts';
import type { history } from './history.ts';
import type { journalInfo } from './journal-info.ts';
import type { journalVerify } from './journal-verify.ts';
import type { planCommit, planInterrupt, planResume, planRollback } from './plan-act.ts';
import type { planList } from './plan-list.ts';
import type { planShow } from './plan-show.ts';
import type { restore } from './restore.ts';
import type { shadow } from './shadow.ts';
import type { standbyAccept } from './standby-accept.ts';
import type { status } from './status.ts';
import type { failover, switchover } from './take-over.ts';
import type { verify } from './verify.ts';

export interface Outputs {
  readonly status: z.output<typeof status.output>;
  readonly shadow: z.output<typeof shadow.output>;
  readonly history: z.output<typeof history.output>;
  readonly export: z.output<typeof exportMail.output>;
  readonly restore: z.output<typeof restore.output>;
  readonly verify: z.output<typeof verify.output>;
  readonly checkpoint: z.output<typeof checkpoint.output>;
  readonly check: z.output<typeof check.output>;
  readonly failover: z.output<typeof failover.output>;
  readonly switchover: z.output<typeof switchover.output>;
  readonly 'plan list': z.output<typeof planList.output>;
  readonly 'plan show': z.output<typeof planShow.output>;
  readonly 'plan resume': z.output<typeof planResume.output>;
  readonly 'plan rollback': z.output<typeof planRollback.output>;
  readonly 'plan commit': z.output<typeof planCommit.output>;
  readonly 'plan interrupt': z.output<typeof planInterrupt.output>;
  readonly 'standby accept': z.output<typeof standbyAccept.output>;
  readonly 'journal info': z.output<typeof journalInfo.output>;
  readonly 'journal verify': z.output<typeof journalVerify.output>;
  readonly 'catalog rebuild': z.output<typeof catalogRebuild.output>;
}
