/**
 * What an operation is: declared once, and HTTP, OpenAPI, the command line and the audit log derive from it.
 */
import type { z } from 'zod';
import type { ProgressListener } from '../lib/index.ts';
import type { Core } from './core.ts';

/** read: look; operate: steer the service; restore: read mail out and put mail back; admin: everything. */
export type Permission = 'read' | 'operate' | 'restore' | 'admin';

/**
 * Where an operation runs while a service runs on the data folder:
 * live: in the service, which alone knows how things go now;
 * main: in the service's main thread, where plans run; it goes on when whoever asked goes away;
 * needs-vault-writer: in the thread that has the server's vault open;
 * either: in the service's reading thread (the command line asks it too);
 * local-only: the command line does it itself, since its paths are the caller's; over HTTP, the service's.
 * Without a service the command line does all of them itself.
 */
export type Placement = 'live' | 'main' | 'needs-vault-writer' | 'either' | 'local-only';

/** What a finished operation amounts to; `cli/exit-codes.ts` gives each an exit status. */
export type Outcome = 'done' | 'partial' | 'differs' | 'failed' | 'refused';

export interface OperationContext {
  readonly progress: ProgressListener;
  readonly signal: AbortSignal;
  /** Who asks, as far as they say: `user@host`. */
  readonly caller?: string;
}

export interface Operation<I extends z.ZodObject = z.ZodObject, O extends z.ZodType = z.ZodType> {
  /** As on the command line: `journal info`. */
  readonly name: string;
  readonly permission: Permission;
  /** One sentence for help and the reference pages. */
  readonly summary: string;
  readonly input: I;
  readonly output: O;
  /** Input keys that the command line takes by position, in order. */
  readonly positional: readonly string[];
  readonly placement: Placement;
  /** True when it may take longer than a client waits without hearing anything. */
  readonly longRunning: boolean;
  /** True when it is of use where there is no configuration file. */
  readonly withoutConfig?: boolean;
  /** What to ask before it is done, where someone is there to answer; undefined = nothing to ask. */
  confirmation?(input: z.output<I>): string | undefined;
  /** True: where nobody is there to answer, `--yes` must be given. */
  readonly needsAnswer?: boolean;
  /** True: a service that does it goes on with it when whoever asked goes away; not of a dry run, which has no `confirmation`. */
  readonly runsPlan?: boolean;
  /** What was done, for the audit log. */
  sentence(input: z.output<I>): string;
  outcome?(output: z.output<O>): Outcome;
  handler(core: Core, input: z.output<I>, context: OperationContext): Promise<z.input<O>>;
}

/** Declares an operation with its input and output types inferred. */
export function defineOperation<I extends z.ZodObject, O extends z.ZodType>(
  operation: Operation<I, O>,
): Operation<I, O> {
  return operation;
}

/** `/api/v1/journal-info` for `journal info`. */
export function pathOf(operation: Pick<Operation, 'name'>): string {
  return `/api/v1/${operation.name.replaceAll(' ', '-')}`;
}
