/**
 * Everything that a bench starts or writes is gone when it ends, however it ends: what was set up last is taken
 * down first, after an error and after SIGINT or SIGTERM too.
 */
import { temporaryDirectory } from '../../tests/lab/temp.ts';

export interface Stage {
  /** An empty folder for the whole bench. */
  readonly folder: string;
  after(cleanUp: () => Promise<void> | void): void;
  /** Aborted when the bench is to end early. */
  readonly signal: AbortSignal;
}

export async function onStage(label: string, perform: (stage: Stage) => Promise<void>): Promise<void> {
  const temporary = temporaryDirectory(`bench-${label}`);
  const cleanUps: (() => Promise<void> | void)[] = [temporary.remove];
  let cleaning: Promise<void> | undefined;
  const cleanUp = () => {
    cleaning ??= (async () => {
      for (const next of cleanUps.reverse()) {
        await Promise.resolve()
          .then(next)
          .catch((error) => console.error(error));
      }
    })();
    return cleaning;
  };
  const ending = new AbortController();
  const interrupted = (signal: NodeJS.Signals) => {
    ending.abort(new Error(signal));
    void cleanUp().finally(() => process.exit(1));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await perform({
      folder: temporary.path,
      after: (next) => cleanUps.push(next),
      signal: ending.signal,
    });
  } catch (error) {
    // What is torn down under a running bench fails; that is no news.
    if (!ending.signal.aborted) {
      process.exitCode = 1;
      console.error(error);
    }
  } finally {
    await cleanUp();
  }
}
