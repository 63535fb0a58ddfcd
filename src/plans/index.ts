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
export { planIn, plansIn } from './record.ts';
export type {
  AnyPlanDefinition,
  PlanDefinition,
  PlanDeps,
  PlanDirection,
  PlanId,
  PlanKinds,
  PlanNote,
  PlanOptions,
  PlanPreview,
  PlanProblem,
  PlanRecord,
  PlanRequest,
  PlanResult,
  PlanRun,
  PlanState,
  PlanStep,
  PreflightOptions,
  StepIo,
  StepRecord,
  StepState,
} from './types.ts';
