export {
  type PlanCaller,
  PlanEngine,
  type PlanParts,
  planKinds,
  previewPlan,
  previewRollback,
} from './engine.ts';
export { planErrors } from './errors.ts';
export type * from './readiness/index.ts';
export { memoryIn, planIn, plansIn } from './record.ts';
export {
  type AnyPlanDefinition,
  type PlanDefinition,
  type PlanDeps,
  type PlanDirection,
  type PlanId,
  type PlanKinds,
  type PlanNote,
  type PlanOptions,
  type PlanPreview,
  type PlanProblem,
  type PlanRecord,
  type PlanRequest,
  type PlanResult,
  type PlanRun,
  type PlanState,
  type PlanStep,
  type PreflightOptions,
  SERVICE,
  type StepIo,
  type StepRecord,
  type StepState,
} from './types.ts';
