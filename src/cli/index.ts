/** The command line's door: runs one command, says what went wrong in one way, gives the exit status. */
import { apiErrors, asOperatingError } from '../api/index.ts';
import { exitCodes } from './exit-codes.ts';
import { type Io, terminal } from './io.ts';
import { type BaseContext, runProgram } from './program.ts';

export { cliErrors } from './errors.ts';
export { exitCodes } from './exit-codes.ts';
export { type Io, terminal } from './io.ts';
export { cliPage } from './reference-page.ts';

export interface Wiring extends Pick<BaseContext, 'adapters' | 'entry' | 'runDemo'> {
  /** Default: this process's terminal. */
  readonly io?: Io;
  /** Ends the command. Default: SIGINT and SIGTERM. */
  readonly signal?: AbortSignal;
}

/**
 * Never throws. Errors go to stderr as `error CODE: message` and `remedy: …`, with `--json` as one document on
 * stdout.
 */
export async function runCommandLine(argv: readonly string[], wiring: Wiring): Promise<number> {
  const io = wiring.io ?? terminal;
  try {
    return await runProgram(argv, { ...wiring, io, signal: wiring.signal ?? signalOfProcess() });
  } catch (thrown) {
    const error = asOperatingError(thrown);
    if (isJson(argv)) io.out(`${JSON.stringify({ error })}\n`);
    else io.err(`error ${error.code}: ${error.message}\nremedy: ${error.remedy}\n`);
    if (error.code === 'API_DEFECT') io.err(`${error.details['stack'] ?? ''}\n`);
    return exitCodes[error.kind];
  }
}

/** Aborts at the first SIGINT or SIGTERM; the second ends the process at once, as without us. */
function signalOfProcess(): AbortSignal {
  const controller = new AbortController();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    // `understudy … | head`: nobody reads any more.
    controller.abort(apiErrors.make('API_INTERRUPTED', 'nobody reads what is printed any more'));
  });
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => controller.abort(apiErrors.make('API_INTERRUPTED', `ended by ${name}`)));
  }
  return controller.signal;
}

function isJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}
