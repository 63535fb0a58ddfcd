export { requireAccess } from './access.ts';
export type { Adapters, MailWorkload, VaultPlace } from './adapters.ts';
export type { Core, LiveStatus, MailActions } from './core.ts';
export { asOperatingError } from './defects.ts';
export { apiErrors } from './errors.ts';
export { httpStatusOf } from './http-status.ts';
export { type CoreParts, inProcessCore, mailDeps, vaultDirOf } from './in-process.ts';
export {
  type Operation,
  type OperationContext,
  type Outcome,
  type Permission,
  type Placement,
  pathOf,
} from './operation.ts';
export { allOperations, type Outputs, operationNamed, operationNames } from './operations/index.ts';
export type { OpenPlans, PlanActions, PlanWiring } from './plans.ts';
export type { RunningService } from './service/index.ts';
export { openApiDocument, runServiceThread, startService } from './service-entry.ts';
export type { ThreadStart } from './threads.ts';
