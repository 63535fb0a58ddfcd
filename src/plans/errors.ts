import { defineErrors } from '../lib/index.ts';

export const planErrors = defineErrors({
  PLAN_UNDER_WAY: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The pair has a plan that has not ended, or was told to end otherwise than it can.',
    remedy: 'See `understudy plan list`, then `understudy plan resume ID` or `understudy plan rollback ID`',
  },
  PLAN_REFUSED: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A precondition of the plan is red; nothing was changed.',
    remedy: 'Repair what is named, or overrule it: --reason TEXT',
  },
  PLAN_REASON_MISSING: {
    kind: 'usage',
    retry: 'never',
    summary: 'A plan was to be forced without a reason.',
    remedy: 'Give --reason TEXT; it is recorded',
  },
  PLAN_PARAMETERS_INVALID: {
    kind: 'usage',
    retry: 'never',
    summary: 'A plan was given parameters that its kind does not take.',
    remedy: 'See the options of the command with --help',
  },
  PLAN_KIND_UNKNOWN: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'This version of Understudy does not know plans of this kind.',
    remedy: 'Use the version that began the plan, or a newer one',
  },
  PLAN_UNKNOWN: {
    kind: 'usage',
    retry: 'never',
    summary: 'No plan has this id.',
    remedy: 'See `understudy plan list`',
  },
  PLAN_ENDED: {
    kind: 'refused',
    retry: 'never',
    summary: 'The plan has ended, so it can neither go on nor be taken back.',
    remedy: 'See `understudy plan show ID`; begin another plan',
  },
  PLAN_NOT_DONE: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A plan that is not done was to be committed.',
    remedy: 'Go on with it first: understudy plan resume ID',
  },
  PLAN_SUPERSEDED: {
    kind: 'refused',
    retry: 'never',
    summary: 'A later plan of the pair has begun, so an earlier one cannot be taken back.',
    remedy: 'Take the later plan back first, or move with a new plan',
  },
  PLAN_NO_WAY_BACK: {
    kind: 'refused',
    retry: 'never',
    summary: 'The plan has begun a step from which there is no way back.',
    remedy: 'Go on with it: understudy plan resume ID',
  },
  PLAN_STEPS_CHANGED: {
    kind: 'refused',
    retry: 'after-repair',
    summary:
      'The steps of the plan are not those that it began with: another version began it, or the configuration has changed.',
    remedy: 'Use the version of Understudy and the configuration with which the plan began',
  },
  PLAN_INTERRUPTED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The plan was stopped between two steps, or whoever worked on it was killed.',
    remedy: 'Go on with `understudy plan resume ID`, or take it back with `understudy plan rollback ID`',
  },
  PLAN_RECORD_INVALID: {
    kind: 'failed',
    retry: 'never',
    summary: 'Entries of a plan in the control journal contradict each other.',
    remedy: 'Run: understudy journal verify control. If it finds nothing, report this with the plan’s id',
  },
  PLAN_DEFECT: {
    kind: 'failed',
    retry: 'never',
    summary: 'A step of a plan met something that our code does not expect: a defect of Understudy.',
    remedy: 'Report it with the log around it; `understudy plan rollback ID` takes back what was done',
  },
});
