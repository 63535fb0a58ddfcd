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
  DIRECTORY_FAILED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The directory answered with another error (busy, limit exceeded); the message holds its words.',
    remedy: "Look at the directory's log; raise its size limit for bindDn when it names one.",
  },
});
