/** The lock of a vault: one writer at a time. See `FolderLock`. */
import { FolderLock, type LockRefusal } from '../journal/index.ts';
import { messageOf } from '../lib/index.ts';
import { catalogErrors } from './errors.ts';

export const VaultLock = {
  /**
   * Makes the folder if need be and takes the lock at once or not at all. Errors: CATALOG_VAULT_LOCKED (names the
   * holder), CATALOG_VAULT_UNWRITABLE, CATALOG_STORAGE_FAILED (the disk is full or failing).
   */
  take: (dir: string, nowMs: number): VaultLock =>
    FolderLock.take(dir, nowMs, (refusal) => refusedError(dir, refusal)),

  /** Whether a writer holds the lock now. Takes nothing, writes nothing. */
  isHeld: (dir: string): boolean => FolderLock.isHeld(dir),
};
export type VaultLock = FolderLock;

function refusedError(dir: string, refusal: LockRefusal): Error {
  if (refusal.reason === 'held') {
    const { holder } = refusal;
    const who = holder ? `process ${holder.pid}, since ${holder.started}` : 'another process';
    return catalogErrors.make('CATALOG_VAULT_LOCKED', `vault ${dir} is in use by ${who}`, {
      details: { dir, ...holder },
    });
  }
  return catalogErrors.make(
    refusal.reason === 'full' ? 'CATALOG_STORAGE_FAILED' : 'CATALOG_VAULT_UNWRITABLE',
    `cannot write to ${dir}: ${messageOf(refusal.cause)}`,
    { cause: refusal.cause, details: { dir } },
  );
}
