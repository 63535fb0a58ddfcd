import type { Namespaces } from '../imap/index.ts';

/**
 * Mailboxes of others and shared ones (RFC 2342) are not the account's: following them here would double them. A name belongs to the
 * namespace with the longest prefix that it begins with. Cyrus with mailboxes below INBOX shares what has no prefix at all.
 */
export function isOwnMailbox(name: string, namespaces: Namespaces | undefined): boolean {
  if (!namespaces || name.toUpperCase() === 'INBOX') return true;
  const { personal, others, shared } = namespaces;
  const foreign = longestPrefix(name, [...others, ...shared]);
  if (foreign === undefined) return true;
  // Rather one mailbox too many than all of them missing, where a server does not say what is the account's.
  if (foreign === 0 && personal.length === 0) return true;
  return (longestPrefix(name, personal) ?? -1) >= foreign;
}

/** The length of it; undefined where the name begins with none. */
function longestPrefix(name: string, namespaces: readonly { readonly prefix: string }[]): number | undefined {
  const lengths = namespaces
    .filter(({ prefix }) => name.startsWith(prefix))
    .map(({ prefix }) => prefix.length);
  return lengths.length === 0 ? undefined : Math.max(...lengths);
}
