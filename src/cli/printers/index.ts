/** How each operation's result reads as text. The JSON of a result is the result itself. */

type Printer = (output: never) => string;

const loaders: Readonly<Record<string, () => Promise<Printer>>> = {
  status: async () => (await import('./status.ts')).printStatus,
  shadow: async () => (await import('./shadow.ts')).printShadow,
  history: async () => (await import('./history.ts')).printHistory,
  export: async () => (await import('./export.ts')).printExport,
  restore: async () => (await import('./restore.ts')).printRestore,
  verify: async () => (await import('./verify.ts')).printVerify,
  checkpoint: async () => (await import('./checkpoint.ts')).printCheckpoint,
  check: async () => (await import('./check.ts')).printCheck,
  'standby accept': async () => (await import('./standby-accept.ts')).printStandbyAccept,
  failover: async () => (await import('./take-over.ts')).printTakeOver,
  switchover: async () => (await import('./take-over.ts')).printTakeOver,
  'plan list': async () => (await import('./plan.ts')).printPlanList,
  'plan show': async () => (await import('./plan.ts')).printPlanShow,
  'plan resume': async () => (await import('./plan.ts')).printPlanResult,
  'plan rollback': async () => (await import('./plan.ts')).printPlanResult,
  'plan commit': async () => (await import('./plan.ts')).printPlanResult,
  'plan interrupt': async () => (await import('./plan.ts')).printPlanInterrupt,
  'journal info': async () => (await import('./journal.ts')).printJournalInfo,
  'journal verify': async () => (await import('./journal.ts')).printJournalVerify,
  'catalog rebuild': async () => (await import('./catalog-rebuild.ts')).printCatalogRebuild,
};

export async function printerOf(operation: string): Promise<Printer> {
  const load = loaders[operation];
  if (load === undefined) throw new Error(`no printer for ${operation}`);
  return load();
}
