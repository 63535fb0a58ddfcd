/**
 * Runs the product's own command as somebody would at a prompt in the demonstration's folder, where its
 * understudy.yaml lies: each command is shown before it is run, and so is what it prints.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../lib/index.ts';
import { dyingWithUs } from './dovecot/index.ts';
import type { Screen } from './screen.ts';

export interface FinishedCommand {
  /** As it was shown: `understudy verify mail-a`. */
  readonly command: string;
  readonly status: number;
  readonly stdout: string;
  readonly elapsedMs: number;
}

interface Parts {
  readonly folder: string;
  readonly entry: URL;
  readonly screen: Screen;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** `node` and its arguments up to the command's own: this very Node.js and this very entry. */
export function nodeCommand(entry: URL): [string, ...string[]] {
  return [process.execPath, ...process.execArgv, fileURLToPath(entry)];
}

export class Commands {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    // For whoever wants to repeat a command while the demonstration stays up.
    const file = join(parts.folder, 'understudy');
    writeFileSync(file, `#!/bin/sh\nexec ${nodeCommand(parts.entry).map(quoted).join(' ')} "$@"\n`);
    chmodSync(file, 0o755);
  }

  /** Shows and runs `understudy ARGS`. An exit status other than 0 is the caller's to judge; what it says is shown. */
  async run(...args: string[]): Promise<FinishedCommand> {
    const { folder, entry, screen, clock, signal } = this.#parts;
    signal.throwIfAborted();
    const command = ['understudy', ...args].map(quoted).join(' ');
    screen.command(command);
    const began = clock.monotonicMs();
    const [node, ...rest] = nodeCommand(entry);
    const child = spawn(...dyingWithUs(node, [...rest, ...args]), {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const end = () => child.kill('SIGTERM');
    signal.addEventListener('abort', end, { once: true });
    try {
      const { status, stdout, stderr } = await finished(child);
      signal.throwIfAborted();
      const elapsedMs = clock.monotonicMs() - began;
      if (stdout !== '') screen.printed(stdout);
      if (status !== 0 && stderr !== '') screen.printed(stderr);
      return { command, status, stdout, elapsedMs };
    } finally {
      signal.removeEventListener('abort', end);
    }
  }
}

function finished(child: ChildProcess): Promise<{ status: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ status: code ?? 1, stdout, stderr }));
  });
}

/** As a shell takes it. */
function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
