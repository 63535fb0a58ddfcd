/** Directories: which account is on which server, and changing it. */
export type {
  Binding,
  Directory,
  Rebinding,
  RebindOptions,
  RebindOutcome,
} from './directory.ts';
export { type LdapOptions, ldapDirectory } from './ldap.ts';
