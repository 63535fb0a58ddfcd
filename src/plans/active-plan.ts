/** One plan while somebody works on it: its record, kept in step with the control journal, and its memory. */
import type { ControlJournal } from '../control/index.ts';
import type { Clock } from '../lib/index.ts';
import { crashPoint, invariant } from '../lib/index.ts';
import { MEMORY_TOPIC, PLAN_TOPIC, type PlanEvent, type StepKey } from './events.ts';
import { applyEvent, memoryIn } from './record.ts';
import {
  type PlanDirection,
  type PlanId,
  type PlanOptions,
  type PlanRecord,
  SERVICE,
  type StepIo,
  type StepRecord,
} from './types.ts';

export class ActivePlan {
  readonly id: PlanId;
  readonly memory: Map<string, unknown>;
  readonly #journal: ControlJournal;
  readonly #clock: Clock;
  #record: PlanRecord | undefined;
  /** Notes on their way to the journal; a step's outcome waits for them. */
  #notes: Promise<void>[] = [];

  /** A new plan has no record until its first event. */
  constructor(parts: { journal: ControlJournal; clock: Clock; id: PlanId; record?: PlanRecord }) {
    this.id = parts.id;
    this.#journal = parts.journal;
    this.#clock = parts.clock;
    this.#record = parts.record;
    this.memory = memoryIn(parts.journal, parts.id);
  }

  /** False until its first event: it cannot be stopped on record before. */
  get hasBegun(): boolean {
    return this.#record !== undefined;
  }

  get record(): PlanRecord {
    invariant(this.#record, 'a plan has a record when it has begun');
    return this.#record;
  }

  step({ direction, step }: StepKey): StepRecord {
    const found = this.record.steps.find(
      (candidate) => candidate.name === step && candidate.direction === direction,
    );
    invariant(found, `the plan has a step ${step}`);
    return found;
  }

  /** Durable when it resolves, and part of `record`. @throws JOURNAL_STORAGE_FULL, JOURNAL_STORAGE_FAILED */
  async append(event: PlanEvent): Promise<void> {
    await this.#journal.append(PLAN_TOPIC, this.id, event);
    this.#record = applyEvent(this.#record, this.id, this.#clock.wallMs(), event);
  }

  /** Resolves when the notes so far are durable. @throws as `append` */
  async notesKept(): Promise<void> {
    const notes = this.#notes;
    this.#notes = [];
    await Promise.all(notes);
  }

  recall<T>(key: string): T | undefined {
    return this.memory.get(key) as T | undefined;
  }

  /** What a step works with. `point` names its crash points. */
  io(key: StepKey, options: PlanOptions, point: string): StepIo {
    const reason = reasonFor(key.direction, this.record);
    return {
      signal: options.signal,
      progress: options.progress,
      ...(reason === undefined ? {} : { reason }),
      runs: this.record.runs.length,
      note: (text) => {
        const kept = this.append({ e: 'note', ...key, text });
        // Met by `notesKept`; until then it must not count as unhandled.
        kept.catch(() => {});
        this.#notes.push(kept);
      },
      remember: async (name, value) => {
        await this.#journal.append(MEMORY_TOPIC, this.id, { key: name, value });
        this.memory.set(name, value);
        crashPoint(`${point}.remembered`);
      },
      recall: (name) => this.recall(name),
    };
  }
}

/**
 * Of what a person said. That a move was to be begun in spite of something is no reason to take it back so, nor does what was said for a rollback
 * that was given up count for the next one.
 */
function reasonFor(direction: PlanDirection, { runs }: PlanRecord): string | undefined {
  const from = runs.findLastIndex((run) => run.direction === direction && run.begins);
  return runs
    .slice(Math.max(0, from))
    .findLast((run) => run.direction === direction && run.by !== SERVICE && run.reason !== undefined)?.reason;
}
