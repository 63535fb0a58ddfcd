/** Runs the commands of a page in order, as a reader does, and says where the page and the product part. */
import assert from 'node:assert/strict';
import { type Block, commandsOf, readPage, type ShownCommand } from './markdown.ts';
import { reasonNotRun } from './not-run.ts';
import { missingLine } from './output.ts';
import type { Workplace } from './workplace.ts';

/**
 * A command must end with status 0, or be followed by `echo $?` that shows another one. Blocks with `file=` are written
 * on the way. With `until`, ends after that command.
 */
export async function runPage(workplace: Workplace, path: string, until?: string): Promise<void> {
  for (const block of readPage(path).blocks) {
    if (block.file !== undefined) workplace.writeFile(block.file, block.text);
    if (block.shows !== undefined) {
      assert.equal(`${block.text}\n`, workplace.readFile(block.shows), `${path}:${block.line}`);
    }
    if (await runBlock(workplace, path, block, until)) return;
  }
  assert.equal(until, undefined, `${path} has no command ${until}`);
}

async function runBlock(
  workplace: Workplace,
  path: string,
  block: Block,
  until: string | undefined,
): Promise<boolean> {
  const commands = commandsOf(block);
  for (const [index, shown] of commands.entries()) {
    const { command } = shown;
    if (command === 'echo $?') continue;
    if (reasonNotRun(path, command) === undefined) {
      await runCommand(workplace, path, shown, statusShown(commands[index + 1]));
    }
    if (command === until) return true;
  }
  return false;
}

async function runCommand(
  workplace: Workplace,
  path: string,
  shown: ShownCommand,
  status: number,
): Promise<void> {
  const ran = await workplace.run(shown.command);
  const place = `${path}:${shown.line}: ${shown.command}\n${ran.output}`;
  assert.equal(ran.status, status, place);
  if (shown.output.every((line) => line.trim() === '')) return;
  const missing = missingLine(shown.output, ran.output);
  assert.equal(missing, undefined, `${place}\nThe page shows, and this does not: ${missing}`);
}

/** What the page shows after `echo $?`, where that is the next command. */
function statusShown(next: ShownCommand | undefined): number {
  return next?.command === 'echo $?' ? Number(next.output[0]) : 0;
}
