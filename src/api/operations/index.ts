/** The table of operations. Each is loaded when it is named, so that a command does not pay for the others. */
import type { Operation } from '../operation.ts';

export type { Outputs } from './outputs.ts';

const loaders: Readonly<Record<string, () => Promise<Operation>>> = {
  status: async () => (await import('./status.ts')).status,
  shadow: async () => (await import('./shadow.ts')).shadow,
  history: async () => (await import('./history.ts')).history,
  export: async () => (await import('./export.ts')).exportMail,
  restore: async () => (await import('./restore.ts')).restore,
  verify: async () => (await import('./verify.ts')).verify,
  checkpoint: async () => (await import('./checkpoint.ts')).checkpoint,
  check: async () => (await import('./check.ts')).check,
  failover: async () => (await import('./take-over.ts')).failover,
  switchover: async () => (await import('./take-over.ts')).switchover,
  'plan list': async () => (await import('./plan-list.ts')).planList,
  'plan show': async () => (await import('./plan-show.ts')).planShow,
  'plan resume': async () => (await import('./plan-act.ts')).planResume,
  'plan rollback': async () => (await import('./plan-act.ts')).planRollback,
  'plan commit': async () => (await import('./plan-act.ts')).planCommit,
  'plan interrupt': async () => (await import('./plan-act.ts')).planInterrupt,
  'standby accept': async () => (await import('./standby-accept.ts')).standbyAccept,
  'journal info': async () => (await import('./journal-info.ts')).journalInfo,
  'journal verify': async () => (await import('./journal-verify.ts')).journalVerify,
  'catalog rebuild': async () => (await import('./catalog-rebuild.ts')).catalogRebuild,
};

/** Names as on the command line, in the order of help. */
export const operationNames: readonly string[] = Object.keys(loaders);

export async function operationNamed(name: string): Promise<Operation> {
  const load = loaders[name];
  if (load === undefined) throw new Error(`no operation ${name}`);
  return load();
}

export function allOperations(): Promise<Operation[]> {
  return Promise.all(operationNames.map(operationNamed));
}
