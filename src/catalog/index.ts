export {
  Catalog,
  type Commit,
  isInbox,
  type MailboxLife,
  type MessagesQuery,
  type RemovalsQuery,
} from './catalog.ts';
export { rebuildCatalog } from './catch-up.ts';
export type { CatalogEntry, FrameRow } from './fold.ts';
export { type IndexedBody, indexBody } from './index-body.ts';
export { internalDateMs } from './internal-date.ts';
export { requireAccount, requireMailbox } from './names.ts';
export { removeEmptyVault } from './remove-empty.ts';
export { iso, parseAt } from './resolve-at.ts';
export * from './types.ts';
export { parseUidSet } from './uid-set.ts';
export { type BodyIdentity, Vault, type VaultOptions } from './vault.ts';
export { vaultFiles } from './vault-files.ts';
export { VaultLock } from './vault-lock.ts';
export { VaultReader, type VaultReaderOptions } from './vault-reader.ts';
export { type VaultVerifyReport, verifyVault } from './verify-vault.ts';
