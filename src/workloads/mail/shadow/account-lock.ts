/**
 * One piece of work on an account of a vault at a time: the follower, a restore and a second pass must not
 * journal the same change twice.
 */
import type { Vault } from '../../../catalog/index.ts';

const tails = new WeakMap<Vault, Map<string, Promise<unknown>>>();

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
