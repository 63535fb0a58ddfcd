/** What a plan has done, for a person and for scripts: JSON in the control journal and as a file, and a page. */
import type { Lsn } from '../../journal/index.ts';
import { type JsonValue, messageOf } from '../../lib/index.ts';
import type { ClientOutages } from '../../rehome/index.ts';
import { laterThan } from '../../workloads/mail/carry-over/index.ts';
import type { PlanRecord } from '../index.ts';
import { type CleanUpItem, cleanUpList } from './clean-up.ts';
import type { AccountProblem, HeldAccount, Memory, QuickCertificate, TakeOver } from './context.ts';
import { type LostMessage, lostMessages } from './lost.ts';
import { isMoved } from './people-moved.ts';
import { writeReport } from './report-files.ts';
import { failoverRpo, switchoverRpo } from './rpo.ts';

/** Durations in ms, moments RFC 3339. */
export interface TakeOverReport {
  readonly plan: string;
  readonly kind: string;
  readonly pair: string;
  readonly from: { readonly server: string; readonly host: string };
  readonly to: { readonly server: string; readonly host: string };
  readonly state: PlanRecord['state'];
  readonly by: string;
  readonly reason?: string;
  readonly forced: boolean;
  readonly startedAt: string;
  readonly endedAt: string;
  /** The state that was restored. */
  readonly at?: { readonly lsn: Lsn; readonly time: string };
  /** From the command's arrival to the moment when the first client could be on the new server. */
  readonly rtoMs?: number;
  /** From the moment when the front door led nowhere to the moment when it led to the new server: the longest wait of a client of it. */
  readonly outageMs?: number;
  /** The same of each client, measured at the front door: of the move, or of its rollback. Absent where there is no front door that could tell. */
  readonly clientOutages?: ClientOutages;
  readonly rollbackOutageMs?: number;
  /** Of the move, from its begin to its end; of a rollback that of the rollback. */
  readonly totalMs: number;
  readonly clients: { readonly moved: number; readonly cut: number };
  /** What could be lost, as known before; 0 = nothing, as far as it can be known. */
  readonly rpo: { readonly atMostMs: number; readonly sentence: string };
  readonly lost: readonly LostMessage[];
  /** With `--at`: messages of the last state that the chosen one does not have. */
  readonly leftOut?: number;
  readonly held: readonly HeldAccount[];
  readonly accounts: number;
  readonly certificate: { readonly quick: QuickCertificate | null; readonly deep: JsonValue };
  readonly probe: JsonValue;
  readonly restored: JsonValue;
  readonly stragglers: JsonValue;
  readonly carriedBack: JsonValue;
  readonly problems: readonly AccountProblem[];
  readonly notes: readonly string[];
  /** The former server answers although it is fenced. */
  readonly formerAnswers: boolean;
  readonly timeline: readonly {
    readonly name: string;
    readonly sentence: string;
    readonly direction: string;
    readonly state: string;
    readonly at?: string;
    readonly ms?: number;
    readonly attempts: number;
  }[];
  readonly cleanUp: readonly CleanUpItem[];
  /** Where the report lies as files; absent when it could not be written. */
  readonly files?: { readonly json: string; readonly html: string };
}

const ANSWER_WITHIN_MS = 500;

export async function makeReport(
  context: TakeOver,
  record: PlanRecord,
  recalled: <K extends keyof Memory>(key: K) => Memory[K] | undefined,
): Promise<TakeOverReport> {
  const { ports, move, from, to, parameters } = context;
  const at = recalled('at');
  const shut = recalled('doorShut');
  const open = recalled('doorOpen');
  const shutBack = recalled('doorShutBack');
  const openBack = recalled('doorOpenBack');
  const endedMs = record.endedAt ?? ports.clock.wallMs();
  // A commit, perhaps days later, does not make the move take longer.
  const earlier = record.direction === 'commit' ? ((record.report ?? {}) as Partial<TakeOverReport>) : {};
  const iso = (ms: number) => new Date(ms).toISOString();
  const report: TakeOverReport = {
    plan: record.id,
    kind: record.kind,
    pair: record.pair,
    from: { server: move.from, host: from.host },
    to: { server: move.to, host: to.host },
    state: record.state,
    by: record.by,
    ...(record.reason === undefined ? {} : { reason: record.reason }),
    forced: record.forced,
    startedAt: iso(record.startedAt),
    endedAt: earlier.endedAt ?? iso(endedMs),
    ...(at === undefined ? {} : { at: { lsn: at.lsn, time: iso(at.time) } }),
    ...(open === undefined ? {} : { rtoMs: open - (record.askedAt ?? record.startedAt) }),
    ...(open === undefined || shut === undefined ? {} : { outageMs: Math.max(0, open - shut) }),
    ...(openBack === undefined || shutBack === undefined
      ? {}
      : { rollbackOutageMs: Math.max(0, openBack - shutBack) }),
    ...(await measuredOutages(context, record, openBack ?? open)),
    totalMs: earlier.totalMs ?? endedMs - (begunOf(record) ?? record.startedAt),
    clients: clientsOf(record),
    rpo:
      record.kind === 'switchover'
        ? await switchoverRpo(context, record, recalled)
        : await failoverRpo(context, record, recalled, parameters.at === undefined ? undefined : at),
    lost:
      record.kind === 'failover' && at !== undefined && parameters.at === undefined
        ? await ports.withReader(move.from, (reader) =>
            lostMessages(reader, at.lsn, { accounts: parameters.accounts }),
          )
        : [],
    ...(parameters.at === undefined ? {} : { leftOut: await leftOut(context) }),
    held: recalled('held') ?? [],
    accounts: recalled('quick')?.accounts ?? 0,
    certificate: {
      quick: wasCompared(record, recalled) ? (recalled('quick') ?? null) : null,
      deep: recalled('deep') ?? null,
    },
    probe: recalled('probe') ?? null,
    restored: recalled('finished') ?? null,
    stragglers: recalled('stragglersBack') ?? recalled('stragglers') ?? null,
    carriedBack: (recalled('carriedTail') as JsonValue | undefined) ?? recalled('carriedBack') ?? null,
    problems: recalled('problems') ?? [],
    notes: record.steps.flatMap(({ notes }) => notes.map(({ text }) => text)),
    formerAnswers: record.state !== 'rolled-back' && (await ports.answers(move.from, ANSWER_WITHIN_MS)),
    timeline: record.steps.map((step) => ({
      name: step.name,
      sentence: step.sentence,
      direction: step.direction,
      state: step.state,
      ...(step.startedAt === undefined ? {} : { at: iso(step.startedAt) }),
      ...(step.durationMs === undefined ? {} : { ms: Math.round(step.durationMs) }),
      attempts: step.attempts,
    })),
    cleanUp: record.state === 'rolled-back' ? [] : cleanUpList(context, record),
  };
  try {
    return { ...report, files: await writeReport(ports.config.dataDir, report) };
  } catch (error) {
    ports.log.error({ plan: record.id, err: error }, 'the report could not be written as files');
    return { ...report, notes: [...report.notes, `the report could not be written: ${messageOf(error)}`] };
  }
}

/** Where nothing could be carried back the last comparison is that of the move, and says nothing of the server that people are on now. */
export function wasCompared(
  record: PlanRecord,
  recalled: <K extends keyof Memory>(key: K) => Memory[K] | undefined,
): boolean {
  const isBack = record.state === 'rolled-back' && isMoved(record);
  // Then it tells the moment of the journal alone.
  return !isBack || recalled('carriedTail')?.accounts !== undefined;
}

/** Made anew by a rollback; a commit, perhaps days later, keeps what the move's report said. */
async function measuredOutages(
  { ports, move, rehomes }: TakeOver,
  record: PlanRecord,
  open: number | undefined,
): Promise<{ clientOutages?: ClientOutages }> {
  if (record.direction === 'commit') {
    const { clientOutages } = (record.report ?? {}) as Partial<TakeOverReport>;
    return clientOutages === undefined ? {} : { clientOutages };
  }
  if (open === undefined || !rehomes.some(({ holds }) => holds)) return {};
  const since = record.direction === 'back' ? begunOf(record) : record.askedAt;
  try {
    const clientOutages = await ports.outages(move.pair, { since: since ?? record.startedAt, before: open });
    return clientOutages === undefined ? {} : { clientOutages };
  } catch (error) {
    // A front door that a former version started measures nothing; the move is reported all the same.
    ports.log.warn({ plan: record.id, err: error }, 'the front door does not tell how long clients waited');
    return {};
  }
}

/** When somebody first went the way that the plan goes now; undefined: its begin. */
export function begunOf({
  runs,
  steps,
  direction,
}: Pick<PlanRecord, 'runs' | 'steps' | 'direction'>): number | undefined {
  if (direction === 'forward') return undefined;
  // Of a rollback by steps of its own it is theirs: a former one that was given up, perhaps days ago, has left runs, and no steps.
  const begun = steps.flatMap((step) => (step.direction === direction ? (step.startedAt ?? []) : []));
  return begun.length > 0 ? Math.min(...begun) : runs.find((run) => run.direction === direction)?.at;
}

function clientsOf(record: PlanRecord) {
  const sum = { moved: 0, cut: 0 };
  for (const { outcome } of record.steps) {
    if (typeof outcome !== 'object' || outcome === null || Array.isArray(outcome)) continue;
    const { clientsMoved, clientsCut } = outcome as { clientsMoved?: number; clientsCut?: number };
    sum.moved += clientsMoved ?? 0;
    sum.cut += clientsCut ?? 0;
  }
  return sum;
}

async function leftOut({ ports, move, parameters }: TakeOver): Promise<number> {
  return ports.withReader(move.from, async (reader) => {
    const { messages } = await laterThan(reader, parameters.at as Lsn, parameters.accounts);
    return messages.length;
  });
}
