/**
 * An operation shown again and again. On a terminal it has a screen of its own, which is gone at the end; elsewhere every change is a block of
 * text, and with `--json` each look a document on a line of its own.
 */
import { asOperatingError, type Operation } from '../api/index.ts';
import { exitCodes } from './exit-codes.ts';
import type { CommandContext } from './program.ts';
import { rendered } from './rendered.ts';

const EVERY_MS = 1_000;

const ENTER_SCREEN = '\x1b[?1049h\x1b[?25l';
const LEAVE_SCREEN = '\x1b[?25h\x1b[?1049l';

/** Until the signal aborts, which is its right end: status 0. What fails at the first look is thrown; later it is shown, and tried again. */
export async function watch(
  operation: Operation,
  look: () => Promise<unknown>,
  context: CommandContext,
): Promise<number> {
  const { io, adapters, signal, json } = context;
  const onScreen = !json && io.rows !== undefined;
  let shown = await rendered(operation, await look(), context);
  if (onScreen) io.out(ENTER_SCREEN);
  try {
    io.out(onScreen ? screenful(shown, io.rows) : shown);
    while (!signal.aborted) {
      await adapters.clock.sleep(EVERY_MS, signal);
      const text = await lookAgain(operation, look, context);
      // A window may have another size by now.
      if (onScreen) io.out(screenful(text, io.rows));
      else if (json || text !== shown) io.out(json ? text : `\n${text}`);
      shown = text;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    if (onScreen) io.out(LEAVE_SCREEN);
  }
  return exitCodes.done;
}

/** A service that is being started again is news, not the end. */
async function lookAgain(
  operation: Operation,
  look: () => Promise<unknown>,
  context: CommandContext,
): Promise<string> {
  try {
    return await rendered(operation, await look(), context);
  } catch (thrown) {
    context.signal.throwIfAborted();
    const error = asOperatingError(thrown);
    return context.json
      ? `${JSON.stringify({ error })}\n`
      : `error ${error.code}: ${error.message}\nremedy: ${error.remedy}\n`;
  }
}

/** Written over the one before, without flicker; what does not fit is cut off. */
function screenful(text: string, rows = 24): string {
  const lines = text
    .trimEnd()
    .split('\n')
    .slice(0, rows - 1);
  return `\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`;
}
