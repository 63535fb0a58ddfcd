import { hash } from 'node:crypto';
import type { Config } from '../../src/config/index.ts';
import { type ControlView, rolesOf } from '../../src/control/index.ts';
import { memoryIn, type PlanRecord, plansIn } from '../../src/plans/index.ts';
import { movedAccounts } from '../../src/plans/mail/index.ts';

/** Of a server's name nothing but its place in a pair matters here. */
export const config = {
  file: 'fixture',
  pairs: { mail: { live: 'mail-a', standby: 'mail-b' }, other: { live: 'mail-c', standby: 'mail-d' } },
} as unknown as Config;

const LONG_CHARS = 500;

/** What a control journal says, entry by entry and folded, as JSON. What is folded has each field named, so that it may gain others. */
export function summaryOf(view: ControlView) {
  const pairs = Object.keys(config.pairs);
  return {
    entries: [...view.entries()].map(({ lsn, time, topic, id, data }) => ({
      lsn,
      time,
      topic,
      id,
      data: shortened(data),
    })),
    roles: pairs.map((pair) => rolesOf(config, view, pair)),
    moved: pairs.map((pair) => movedAccounts(view, pair) ?? null),
    plans: plansIn(view, () => false).map((plan) => ({
      ...planOf(plan),
      memory: Object.fromEntries(memoryIn(view, plan.id)),
    })),
  };
}

function planOf(plan: PlanRecord) {
  const { id, kind, pair, sentence, parameters, state, direction, by, reason, forced, steps } = plan;
  return {
    ...{ id, kind, pair, sentence, parameters, state, direction, by, reason, forced },
    startedAt: plan.startedAt,
    endedAt: plan.endedAt,
    findings: plan.findings.map((finding) => ({ id: finding.id, state: finding.state })),
    problem: plan.problem?.code,
    report: plan.report,
    runs: plan.runs.map((run) => ({ at: run.at, direction: run.direction, by: run.by })),
    steps: steps.map((step) => ({
      name: step.name,
      sentence: step.sentence,
      direction: step.direction,
      state: step.state,
      attempts: step.attempts,
      startedAt: step.startedAt,
      endedAt: step.endedAt,
      outcome: step.outcome,
      problem: step.problem?.code,
      notes: step.notes.map(({ at, text }) => ({ at, text })),
    })),
  };
}

function shortened(data: unknown): unknown {
  const text = JSON.stringify(data);
  return text.length <= LONG_CHARS * 2 ? data : { chars: text.length, sha256: hash('sha256', text) };
}
