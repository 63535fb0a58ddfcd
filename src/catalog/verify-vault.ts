/** Checks a journal, and what only its catalog can tell: whether its end is still there. */
import { dirname, join } from 'node:path';
import { type Fault, type VerifyProgress, type VerifyReport, verifyJournal } from '../journal/index.ts';
import { type Log, silentLog } from '../lib/index.ts';
import { Catalog, type CatalogMeta } from './catalog.ts';
import { vaultFiles } from './vault-files.ts';

export interface VaultVerifyReport extends Omit<VerifyReport, 'faults'> {
  readonly faults: readonly (Omit<Fault, 'code'> & { readonly code: string })[];
}

/**
 * As `verifyJournal`; for the journal of a vault it is a fault as well when the catalog beside it knows commits that the journal does
 * not hold: a journal whose end was removed as a whole is a valid, shorter journal. Changes nothing; the writer may go on meanwhile.
 * @param options.journal the folder of the segments
 */
export async function verifyVault(
  options: { readonly journal: string; readonly key?: Uint8Array; readonly log?: Log },
  onProgress: (progress: VerifyProgress) => void = () => {},
): Promise<VaultVerifyReport> {
  const { journal, key, log = silentLog } = options;
  // Before the journal is read: what a writer adds meanwhile never looks like a catalog ahead.
  const known = catalogBeside(journal, log);
  const report = await verifyJournal({ storage: journal, ...(key ? { key } : {}) }, onProgress);
  const lacks = known && known.appliedLsn > 0 && whatLacks(known, report);
  return lacks ? { ...report, ok: false, faults: [...report.faults, lacks] } : report;
}

function whatLacks(
  known: CatalogMeta,
  report: VerifyReport,
): VaultVerifyReport['faults'][number] | undefined {
  if (known.journalId !== report.journalId) {
    const what = `the catalog beside it indexes another journal, ${known.journalId}, up to lsn:${known.appliedLsn}`;
    return { code: 'CATALOG_OTHER_JOURNAL', segment: report.end.segment, offset: 0, what };
  }
  if (known.appliedLsn <= report.committedLsn) return undefined;
  const what = `the journal ends here, and the catalog beside it knows commits up to lsn:${known.appliedLsn}`;
  return { code: 'CATALOG_AHEAD_OF_JOURNAL', ...report.end, lsn: report.committedLsn, what };
}

/** One that cannot be read says nothing about the journal. */
function catalogBeside(journal: string, log: Log): CatalogMeta | undefined {
  const files = vaultFiles(dirname(journal));
  if (join(journal) !== files.journal) return undefined;
  try {
    return Catalog.peek(files.catalog);
  } catch (error) {
    log.warn({ catalog: files.catalog, err: error }, 'the journal cannot be compared with its catalog');
    return undefined;
  }
}
