/** Asks the command of this checkout. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from './markdown.ts';

export interface Ran {
  readonly status: number | null;
  readonly output: string;
}

export function understudyHere(args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, output })));
}
