/**
 * Errors are values with codes. Every folder declares its codes once, in its own `errors.ts`, with
 * `defineErrors`; docs/reference/errors.md lists them all and a test keeps the page true.
 */

/**
 * What a code means for the caller, whatever the folder:
 * usage = bad input or configuration; refused = unsafe or not ready; failed = the work could not be done;
 * partial = some of it could not; differs = two sides compared are not equal.
 * `cli/exit-codes.ts` maps a kind to an exit status, `api/http-status.ts` to an HTTP status; nothing else does.
 */
export type ErrorKind = 'usage' | 'refused' | 'failed' | 'partial' | 'differs';

/** Whether repeating the same call can help: never, later by itself, or after an operator repaired something. */
export type RetryPolicy = 'never' | 'later' | 'after-repair';

export interface ErrorDeclaration {
  readonly kind: ErrorKind;
  readonly retry: RetryPolicy;
  /** One line for the reference page: when this code is raised. */
  readonly summary: string;
  /** What to do about it; a command to run where there is one. */
  readonly remedy: string;
}

export class UnderstudyError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly retry: RetryPolicy;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    declaration: ErrorDeclaration,
    message: string,
    options: { cause?: unknown; remedy?: string; details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'UnderstudyError';
    this.code = code;
    this.kind = declaration.kind;
    this.retry = declaration.retry;
    this.remedy = options.remedy ?? declaration.remedy;
    this.details = options.details ?? {};
  }

  toJSON(): SerializedError {
    return {
      code: this.code,
      kind: this.kind,
      retry: this.retry,
      message: this.message,
      remedy: this.remedy,
      details: this.details,
    };
  }
}

/** The shape an error has in JSON output, over HTTP and between threads. */
export interface SerializedError {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly retry: RetryPolicy;
  readonly message: string;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Makes an `UnderstudyError` again from what `toJSON` gave, on the other side of a thread or a socket. */
export function reviveError(error: SerializedError): UnderstudyError {
  return new UnderstudyError(error.code, { ...error, summary: '' }, error.message, {
    remedy: error.remedy,
    details: { ...error.details },
  });
}

export interface ErrorTable<Codes extends string> {
  readonly declarations: Readonly<Record<Codes, ErrorDeclaration>>;
  /** Builds (does not throw) the error with this code. `remedy` replaces the declared one when values make it better. */
  make(
    code: Codes,
    message: string,
    options?: { cause?: unknown; remedy?: string; details?: Record<string, unknown> },
  ): UnderstudyError;
}

const allTables: Record<string, ErrorDeclaration>[] = [];

/** Declares a folder's codes. Codes are upper case with the folder first: `JOURNAL_LOCKED`. */
export function defineErrors<const T extends Record<string, ErrorDeclaration>>(
  declarations: T,
): ErrorTable<Extract<keyof T, string>> {
  allTables.push(declarations);
  return {
    declarations,
    make: (code, message, options) =>
      new UnderstudyError(code, declarations[code] as ErrorDeclaration, message, options),
  };
}

/** Every code declared by the modules loaded so far, for the reference page and its test. */
export function declaredErrors(): Readonly<Record<string, ErrorDeclaration>> {
  return Object.assign({}, ...allTables) as Record<string, ErrorDeclaration>;
}

/** True when `error` is ours and carries this code. */
export function hasCode(error: unknown, code: string): error is UnderstudyError {
  return error instanceof UnderstudyError && error.code === code;
}

/** A broken invariant stops the work at once: it is a defect of ours, not a condition to handle. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
