/** Runs one operation: in the service where one runs, else here; prints its result; gives the exit status. */
import { asOperatingError, inProcessCore, type Operation, requireAccess } from '../api/index.ts';
import { type Config, emptyConfig, loadConfig } from '../config/index.ts';
import { createLog, hasCode } from '../lib/index.ts';
import { callerOfProcess } from './caller.ts';
import { cliErrors } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import type { CommandContext } from './program.ts';
import { progressLine } from './progress.ts';
import { confirm } from './question.ts';
import { rendered } from './rendered.ts';
import { runningService } from './running-service.ts';
import { watch } from './watch.ts';

export async function runOperation(
  operation: Operation,
  input: unknown,
  context: CommandContext,
  options: { readonly watch: boolean },
): Promise<number> {
  const config = configFor(operation, context);
  const question = operation.confirmation?.(input as never);
  if (question !== undefined && !context.yes) {
    // It goes to stderr: stdout is for the answer, with `--json` too.
    const asks = context.io.interactive;
    if (!asks && operation.needsAnswer) {
      throw cliErrors.make(
        'CLI_ANSWER_NEEDED',
        `${operation.name} needs an answer, and there is nobody to ask`,
      );
    }
    if (asks && !(await confirm(question))) throw cliErrors.make('CLI_DECLINED', 'declined');
  }
  const once = () => perform(operation, input, config, context);
  if (options.watch) return watch(operation, once, context);
  const output = await once();
  context.io.out(await rendered(operation, output, context));
  return exitCodes[operation.outcome?.(output as never) ?? 'done'];
}

async function perform(
  operation: Operation,
  input: unknown,
  config: Config,
  context: CommandContext,
): Promise<unknown> {
  // Journals, catalogs and exports hold mail: nobody else reads them.
  process.umask(0o077);
  const line = progressLine(context.io, context.adapters.clock);
  const running = { progress: line.show, signal: context.signal, caller: callerOfProcess() };
  let served = false;
  try {
    // Not of what works on any folder: a copy of a journal can be looked at where there is no service.
    if (operation.placement !== 'local-only') requireAccess(config.dataDir, 'search');
    const service = operation.placement === 'local-only' ? undefined : runningService(config.dataDir);
    if (service !== undefined) {
      served = true;
      const { askService, NO_SERVICE } = await import('./service-client.ts');
      const answer = await askService(service, operation, input, running);
      if (answer !== NO_SERVICE) return answer;
      served = false;
    }
    // What happens to single accounts is in the result.
    const log = createLog(config.log.level === 'info' ? 'error' : config.log.level);
    const output = await operation.handler(
      inProcessCore({ config, adapters: context.adapters, log }),
      input as never,
      running,
    );
    return output;
  } catch (error) {
    if (context.signal.aborted && served && goesOn(operation, input)) {
      throw cliErrors.make('CLI_PLAN_GOES_ON', 'no longer waiting; the service goes on with the plan');
    }
    throw asOperatingError(context.signal.aborted ? context.signal.reason : error);
  } finally {
    line.end();
  }
}

/** Whether a service goes on with it when nobody waits any more. */
export function goesOn(operation: Operation, input: unknown): boolean {
  return operation.runsPlan === true && operation.confirmation?.(input as never) !== undefined;
}

function configFor(operation: Operation, context: CommandContext): Config {
  try {
    return loadConfig(context.configFile);
  } catch (error) {
    const dispensable = operation.withoutConfig === true && !context.configGiven;
    if (dispensable && hasCode(error, 'CONFIG_NOT_FOUND')) return emptyConfig();
    throw error;
  }
}
