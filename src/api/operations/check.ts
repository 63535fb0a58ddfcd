import { z } from 'zod';
import { rolesOf } from '../../control/index.ts';
import type { ReadinessPorts } from '../../plans/readiness/index.ts';
import { proxyStats } from '../../rehome/index.ts';
import type { WarmStatus } from '../../workloads/mail/warm/index.ts';
import type { Core } from '../core.ts';
import { defineOperation } from '../operation.ts';

const finding = z.object({
  /** Stable, for scripts. */
  id: z.string(),
  title: z.string(),
  state: z.enum(['green', 'amber', 'red']),
  detail: z.string(),
  remedy: z.string(),
});

export const check = defineOperation({
  name: 'check',
  permission: 'operate',
  summary: 'Readiness: every precondition of every plan of a pair, green, amber or red, each with a remedy.',
  input: z.strictObject({
    pair: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The pair, by its name in the configuration. Default: every pair, and every followed server that is in none.',
      )
      .meta({ value: 'PAIR' }),
  }),
  output: z.object({
    /** False: a plan that needs what is red would fail. */
    ready: z.boolean(),
    /** A pair, or a followed server that is in none. */
    checked: z
      .array(
        z.object({
          pair: z.string().optional(),
          server: z.string().optional(),
          findings: z.array(finding).readonly(),
        }),
      )
      .readonly(),
  }),
  positional: ['pair'],
  placement: 'main',
  longRunning: true,
  sentence: ({ pair }) => `checked ${pair === undefined ? 'all pairs' : `pair ${pair}`}`,
  outcome: ({ ready }) => (ready ? 'done' : 'refused'),
  async handler(core, input, { signal }) {
    const { checkAll, checkPair } = await import('../../plans/readiness/index.ts');
    const ports = readinessPorts(core);
    const checked =
      input.pair === undefined
        ? await checkAll(ports, { signal })
        : [{ pair: input.pair, findings: await checkPair(ports, input.pair, { signal }) }];
    const ready = checked.every(({ findings }) => findings.every(({ state }) => state !== 'red'));
    return { ready, checked };
  },
});

function readinessPorts(core: Core): ReadinessPorts {
  const { config, clock, log } = core;
  return {
    config,
    clock,
    log,
    withReader: (server, work) => core.withReader(server, work),
    directory: (pair) => core.pairDirectory(pair),
    doorStats: (pair) => proxyStats(config, pair, { clock }),
    async following(server) {
      const status = await core.mail.status(server);
      if (status === undefined) return undefined;
      if (status.phase === 'down') return { lagMs: 0, problem: status.problem };
      // Where it is not known there is a problem, which says more.
      const { lagMs = 0, firstPassDone, problem } = status;
      return { lagMs, firstPassDone, ...(problem === undefined ? {} : { problem }) };
    },
    async warm(pair) {
      const warm = await core.warm.status(pair);
      // One that is down has its own words in `status`; here it is not kept warm.
      return warm === undefined || warm.phase === 'down' ? undefined : (warm as WarmStatus);
    },
    roles: (pair) => core.plans.withControl((control) => rolesOf(config, control, pair)),
  };
}
