/** LDAP (RFC 4511). A connection per call: calls are far apart. */
import type { Directory } from './directory.ts';
import { listBindings } from './listing.ts';
import type { LdapOptions } from './options.ts';
import { rebind } from './rebind.ts';
import { tryWrite } from './try-write.ts';

export function ldapDirectory(options: LdapOptions): Directory {
  return {
    listAccounts: async (serverHost, signal) => {
      const bindings = await listBindings(options, undefined, serverHost, signal);
      return [...new Set(bindings.map(({ account }) => account))];
    },
    bindings: (accounts, serverHost, signal) => listBindings(options, accounts, serverHost, signal),
    rebind: (changes, how) => rebind(options, changes, how),
    tryWrite: (signal) => tryWrite(options, signal),
  };
}
