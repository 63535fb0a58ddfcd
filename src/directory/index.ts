/** Directories: which account is on which server, and changing it. */
export type {
  Binding,
  Directory,
  Rebinding,
  RebindOptions,
  RebindOutcome,
} from './directory.ts';
export { foldValue, sameValues } from './judge.ts';
export { ldapDirectory } from './ldap.ts';
export type { LdapOptions } from './options.ts';
