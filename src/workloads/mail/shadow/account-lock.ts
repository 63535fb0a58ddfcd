/**
 * One piece of work on an account of a vault at a time: the follower, a restore and a second pass must not
 * journal the same change twice.
 */
import type { Vault } from '../../../catalog/index.ts';

const tails = new WeakMap<Vault, Map<string, Promise<unknown>>>();
const restored = new WeakMap<Vault, Set<string>>();

/** Runs `work` after everything asked for this account before; its result or error is the caller's alone. */
export async function withAccountLock<T>(vault: Vault, account: string, work: () => Promise<T>): Promise<T> {
  let accounts = tails.get(vault);
  if (!accounts) {
    accounts = new Map();
    tails.set(vault, accounts);
  }
  const before = accounts.get(account) ?? Promise.resolve();
  const mine = before.then(work);
  const settled = mine.catch(() => undefined);
  accounts.set(account, settled);
  try {
    return await mine;
  } finally {
    if (accounts.get(account) === settled) accounts.delete(account);
  }
}

/** The same for work that changes the account on the server; `isBeingRestored` is true while it runs. */
export function withRestoreLock<T>(vault: Vault, account: string, work: () => Promise<T>): Promise<T> {
  return withAccountLock(vault, account, async () => {
    const accounts = restored.get(vault) ?? new Set();
    restored.set(vault, accounts.add(account));
    try {
      return await work();
    } finally {
      accounts.delete(account);
    }
  });
}

/** Whether what the server tells of this account is probably our own doing. */
export function isBeingRestored(vault: Vault, account: string): boolean {
  return restored.get(vault)?.has(account) ?? false;
}
