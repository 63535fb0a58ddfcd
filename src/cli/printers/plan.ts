import type { Outputs } from '../../api/index.ts';
import { duration, table } from '../../lib/index.ts';
import type { TakeOverReport } from '../../plans/mail/index.ts';
import { printReportFiles, printReportProblems } from './report-parts.ts';

type Plan = Outputs['plan show']['plan'];
type Preview = Extract<Outputs['plan rollback'], { dryRun: true }>;

export function printPlanList({ plans }: Outputs['plan list']): string {
  if (plans.length === 0) return 'no plans\n';
  const rows = plans.map((plan) => [
    plan.id,
    plan.kind,
    plan.pair,
    plan.state,
    `${plan.stepsDone} of ${plan.steps}`,
    plan.startedAt,
    plan.by,
  ]);
  return table(['plan', 'kind', 'pair', 'state', 'steps', 'begun', 'by'], rows);
}

export function printPlanShow({ plan }: { readonly plan: Plan }): string {
  const why = plan.reason === undefined ? '' : `, because: ${plan.reason}`;
  const forced = plan.forced ? ' (forced)' : '';
  return [
    `${plan.id} ${plan.kind} ${plan.pair}: ${plan.state}\n`,
    `${plan.sentence}\n`,
    `begun ${plan.startedAt} by ${plan.by}${forced}${why}\n`,
    ...plan.runs
      .slice(1)
      .map(
        (run) =>
          `${wayOf(run.direction)} ${run.at} by ${run.by}${run.reason ? `, because: ${run.reason}` : ''}\n`,
      ),
    printFindings(plan.findings),
    table(['step', 'state', 'took'], plan.steps.map(stepRow)),
    ...plan.steps.flatMap((step) => step.notes.map((note) => `${step.name}: ${note.text}\n`)),
    plan.problem === undefined
      ? ''
      : `${plan.problem.code}: ${plan.problem.message}\nremedy: ${plan.problem.remedy}\n`,
  ].join('');
}

export function printPlanResult(output: Outputs['plan rollback']): string {
  if ('dryRun' in output) return printPlanPreview(output);
  const { plan, resumed } = output;
  // Only of one that has ended: it says what is left.
  const report = plan.problem === undefined ? (plan.report as TakeOverReport | undefined) : undefined;
  const left = report === undefined ? '' : `${printReportProblems(report)}${printReportFiles(report)}`;
  return `${resumed ? `went on with plan ${plan.id}\n` : ''}${printPlanShow(output)}${left}`;
}

export function printPlanPreview(preview: Preview): string {
  const rows = preview.steps.map((step) => [
    step.sentence,
    step.done === undefined ? 'cannot be told' : step.done ? 'done already' : 'would be done',
    [step.pointOfNoReturn ? 'no way back after it' : '', step.problem?.message ?? '']
      .filter(Boolean)
      .join('; '),
  ]);
  return `${preview.sentence}: nothing was changed\n${printFindings(preview.findings)}${table(['step', '', ''], rows)}`;
}

export function printPlanInterrupt({ interrupted, plan }: Outputs['plan interrupt']): string {
  return `${interrupted ? '' : `nobody here works on plan ${plan.id}\n`}${printPlanShow({ plan })}`;
}

/** Those that are not green. */
function printFindings(findings: Plan['findings']): string {
  return findings
    .filter(({ state }) => state !== 'green')
    .map(({ state, title, detail, remedy }) => `${state}: ${title}: ${detail}\n  remedy: ${remedy}\n`)
    .join('');
}

function stepRow(step: Plan['steps'][number]): string[] {
  return [step.sentence, step.state, step.durationMs === undefined ? '' : duration(step.durationMs)];
}

function wayOf(direction: Plan['direction']): string {
  return { forward: 'gone on with', back: 'taken back', commit: 'made final' }[direction];
}
