/** Directories: which account is on which server. */
export type { Directory } from './directory.ts';
export { type LdapOptions, ldapDirectory } from './ldap.ts';
