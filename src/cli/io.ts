/** The terminal, as a port: tests give their own. */
export interface Io {
  /** Result: exactly one document with `--json`. */
  out(text: string): void;
  /** Everything else: progress, errors, questions. */
  err(text: string): void;
  /** Whether somebody sees progress and can answer questions. */
  readonly interactive: boolean;
  /** Width of the terminal in columns. */
  readonly columns: number;
  /** Where `out` goes to a terminal: its height in rows, as of now. */
  readonly rows?: number | undefined;
}

export const terminal: Io = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  interactive: Boolean(process.stdin.isTTY && process.stderr.isTTY),
  columns: process.stderr.columns ?? 100,
  get rows() {
    return process.stdout.isTTY ? process.stdout.rows : undefined;
  },
};
