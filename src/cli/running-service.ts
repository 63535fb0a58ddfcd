/** Whether a service runs on a data folder, and where it answers. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RunningService {
  readonly dataDir: string;
  readonly pid: number;
  readonly url: string;
}

/** What the service's note in the folder says, if the process that wrote it is alive. */
export function runningService(dataDir: string): RunningService | undefined {
  let note: { readonly pid: number; readonly url: string };
  try {
    note = JSON.parse(readFileSync(join(dataDir, 'service.json'), 'utf8'));
  } catch {
    // No note, or half a one of a service that died.
    return undefined;
  }
  return isAlive(note.pid) ? { dataDir, ...note } : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is alive and another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
