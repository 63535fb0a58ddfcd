/** The certificate of a standby: everything that it serves next to what the replica of another server says. */
import { requireAccount } from '../../../catalog/index.ts';
import type { ActionOptions, VerifyReport, VerifyRequest } from '../types.ts';
import { verifyMail } from '../verify/index.ts';
import { isKept, nameOnTarget } from './names.ts';
import { accountsOnlyThere } from './only-there.ts';
import { namesOf } from './quick.ts';
import { openTarget } from './target.ts';
import type { StandbyDeps } from './types.ts';

/**
 * As `verifyMail`, of another server than the one whose replica it is. What a bringing up had moved aside is no difference.
 * Reads only; may be repeated. Errors: those of `verifyMail`.
 */
export async function verifyAgainst(
  deps: StandbyDeps,
  request: VerifyRequest,
  options: ActionOptions = {},
): Promise<VerifyReport> {
  const { reader, target, config, clock, log } = deps;
  const at = request.at ?? reader.catalog.appliedLsn;
  const accounts =
    request.account === undefined
      ? reader.catalog.accountNames(at)
      : [requireAccount(reader.catalog, request.account, at).account];
  const rules =
    accounts.length === 0 ? { separator: null, prefix: '' } : await namesOf(deps, accounts, options.signal);
  const report = await verifyMail(
    {
      server: target,
      config,
      clock,
      log,
      vault: {
        catalog: reader.catalog,
        dir: reader.dir,
        committedLsn: reader.catalog.appliedLsn,
        journalId: reader.catalog.journalId,
        failure: undefined,
      },
      nameOf: (row) => nameOnTarget(row, rules),
      ignores: isKept,
    },
    { ...request, at },
    options,
  );
  if (request.account !== undefined) return report;
  const there = openTarget(deps, options.signal);
  try {
    return { ...report, onlyThere: await accountsOnlyThere(there, reader.catalog, at, options.signal) };
  } finally {
    there.close();
  }
}
