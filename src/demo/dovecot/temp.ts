/**
 * Temporary folders of tests and of the demo. All carry one prefix, so that one that is left behind can be told.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Every folder made here starts with this. */
export const TEMPORARY_PREFIX = 'understudy-';

export interface TemporaryDirectory {
  readonly path: string;
  /** Removes the folder and all in it. May be repeated. */
  remove(): void;
}

/**
 * Makes an empty folder. With `t` (a `node:test` context) it is removed after that test; without, the caller
 * calls `remove` in a `finally`.
 */
export function temporaryDirectory(
  label: string,
  t?: { after(cleanUp: () => void): void },
): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), `${TEMPORARY_PREFIX}${label}-`));
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  t?.after(remove);
  return { path, remove };
}
