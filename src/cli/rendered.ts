/** A result as it goes to stdout: one JSON document, or text. */
import type { Operation } from '../api/index.ts';
import { printerOf } from './printers/index.ts';
import type { CommandContext } from './program.ts';

export async function rendered(
  operation: Operation,
  output: unknown,
  context: CommandContext,
): Promise<string> {
  if (context.json) return `${JSON.stringify(output)}\n`;
  return (await printerOf(operation.name))(output as never);
}
