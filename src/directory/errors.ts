/** Codes of the directory. */
import { defineErrors } from '../lib/index.ts';

export const directoryErrors = defineErrors({
  DIRECTORY_UNREACHABLE: {
    kind: 'failed',
    retry: 'later',
    summary: 'No connection to the directory, or no answer within the allowed time.',
    remedy: 'Check `url` and that the directory runs: `ldapsearch -x -H URL -b "" -s base`.',
  },
  DIRECTORY_TLS_FAILED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'TLS with the directory failed, or its certificate could not be verified.',
    remedy: 'Give the private authority with `ca`; use a name in `url` that the certificate holds.',
  },
  DIRECTORY_BIND_REFUSED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The directory refused bindDn and bindSecret.',
    remedy: 'Check them: `ldapwhoami -x -H URL -D BINDDN -W`.',
  },
  DIRECTORY_NO_RIGHTS: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'bindDn (or an anonymous reader) may not search below baseDn.',
    remedy: 'Give bindDn read access to the entries and the two attributes.',
  },
  DIRECTORY_BASE_ABSENT: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'baseDn does not exist in the directory.',
    remedy: 'Correct `baseDn`; `ldapsearch -x -H URL -b "" -s base namingContexts` shows what there is.',
  },
  DIRECTORY_QUERY_INVALID: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'accountFilter, baseDn or an attribute name is not valid LDAP.',
    remedy: 'Write the filter as in RFC 4515, with parentheses: `(objectClass=inetLocalMailRecipient)`.',
  },
  DIRECTORY_SIZE_LIMIT: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The directory gives bindDn fewer entries than there are, even in pages.',
    remedy: 'Raise its limit; in slapd: `limits dn.exact="BINDDN" size.prtotal=unlimited`.',
  },
  DIRECTORY_NO_WRITE_RIGHTS: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'bindDn may not change serverAttribute, so no account can be rebound. Nothing was changed.',
    remedy:
      'Let it; in slapd, before the rule that lets everybody read: `access to dn.subtree="BASEDN" attrs=SERVERATTRIBUTE by dn.exact="BINDDN" write by * read`.',
  },
  DIRECTORY_READ_ONLY: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The directory takes no changes at all.',
    remedy: 'Point `url` to a directory server that does, or take `readonly` off its database.',
  },
  DIRECTORY_REFERRAL: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'This directory server sends whoever wants to write to another one.',
    remedy: 'Point `url` to the server that takes changes: the provider, not a replica.',
  },
  DIRECTORY_SCHEMA_REFUSES: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The schema or a constraint does not allow serverAttribute to be written so in this entry.',
    remedy:
      'Look at the object classes of the entry; where serverAttribute must have a value, set `failover.unbind: false`.',
  },
  DIRECTORY_ENTRY_GONE: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The entry of an account does not exist any more, was renamed, or is hidden from bindDn.',
    remedy: 'Look for it: `ldapsearch -x -H URL -D BINDDN -W -b BASEDN "(ACCOUNTATTRIBUTE=ACCOUNT)"`.',
  },
  DIRECTORY_CHANGED_MEANWHILE: {
    kind: 'refused',
    retry: 'never',
    summary: 'An account’s server attribute has other values than expected; they are left as they are.',
    remedy: 'Find out who changed it; then change it by hand, or plan again with what is there now.',
  },
  DIRECTORY_NOT_KEPT: {
    kind: 'failed',
    retry: 'later',
    summary: 'The directory said that it made a change, but does not show it when asked again.',
    remedy: 'Point `url` to one directory server that takes changes, not to several behind one name.',
  },
  DIRECTORY_ACCOUNTS_ABSENT: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'accountFilter finds no account below baseDn on which the right to write could be tried.',
    remedy: 'Check `baseDn` and `accountFilter`: `ldapsearch -x -H URL -D BINDDN -W -b BASEDN FILTER`.',
  },
  DIRECTORY_FAILED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The directory answered with another error (busy, time limit); the message holds its words.',
    remedy: "Look at the directory's log.",
  },
});

export type DirectoryCode = Parameters<typeof directoryErrors.make>[0];
