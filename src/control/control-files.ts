import { join } from 'node:path';

/** The folder of the control journal; its `journal` is in it, and its lock. */
export function controlDirOf(dataDir: string): string {
  return join(dataDir, 'control');
}

export function journalOf(controlDir: string): string {
  return join(controlDir, 'journal');
}
