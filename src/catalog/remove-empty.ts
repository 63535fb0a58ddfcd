import { rmSync } from 'node:fs';
import { JournalReader } from '../journal/index.ts';
import { type Clock, hasCode } from '../lib/index.ts';
import { vaultFiles } from './vault-files.ts';
import { VaultLock } from './vault-lock.ts';

/**
 * Removes a vault in which nothing was ever committed, under its lock. One that holds a commit, or that somebody else
 * has taken meanwhile, is left alone. May be repeated.
 */
export async function removeEmptyVault(options: {
  readonly dir: string;
  readonly clock: Clock;
  readonly key?: Uint8Array;
}): Promise<void> {
  const { dir, clock, key } = options;
  let lock: VaultLock;
  try {
    lock = VaultLock.take(dir, clock.wallMs());
  } catch (error) {
    if (hasCode(error, 'CATALOG_VAULT_LOCKED')) return;
    throw error;
  }
  try {
    const reader = await JournalReader.open({ storage: vaultFiles(dir).journal, ...(key ? { key } : {}) });
    const isEmpty = reader.committedLsn === 0;
    await reader.close();
    if (isEmpty) rmSync(dir, { recursive: true, force: true });
  } finally {
    lock.release();
  }
}
