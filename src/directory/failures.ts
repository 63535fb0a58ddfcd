/** What a directory's refusals mean: each LDAP result code (RFC 4511, appendix A) and each failure of a connection has a code of ours. */
import { ResultCodeError } from 'ldapts';
import { messageOf, UnderstudyError } from '../lib/index.ts';
import { type DirectoryCode, directoryErrors } from './errors.ts';
import type { LdapOptions } from './options.ts';

/** RFC 4511 result codes that we tell apart; RFC 4528 for the last. */
export const resultCode = {
  sizeLimitExceeded: 4,
  strongerAuthRequired: 8,
  referral: 10,
  adminLimitExceeded: 11,
  confidentialityRequired: 13,
  noSuchAttribute: 16,
  constraintViolation: 19,
  attributeOrValueExists: 20,
  noSuchObject: 32,
  invalidDnSyntax: 34,
  inappropriateAuthentication: 48,
  invalidCredentials: 49,
  insufficientAccessRights: 50,
  busy: 51,
  unavailable: 52,
  unwillingToPerform: 53,
  assertionFailed: 122,
} as const;

/** The LDAP result code of an error; undefined when the directory has not answered. */
export function resultOf(error: unknown): number | undefined {
  return error instanceof ResultCodeError ? error.code : undefined;
}

/** The error for a connection or a search that failed. */
export function explained(options: LdapOptions, error: unknown): UnderstudyError {
  if (error instanceof UnderstudyError) return error;
  const { url, bindDn, baseDn } = options;
  const make = (code: DirectoryCode, message: string) =>
    failure(options, code, `${message}: ${messageOf(error)}`, error);
  switch (resultOf(error)) {
    case undefined:
      break;
    case resultCode.invalidCredentials:
    case resultCode.inappropriateAuthentication:
      return make('DIRECTORY_BIND_REFUSED', `${url} refuses ${bindDn ?? 'anonymous'}`);
    case resultCode.strongerAuthRequired:
    case resultCode.confidentialityRequired:
      return make('DIRECTORY_TLS_FAILED', `${url} wants TLS (set \`startTls\` or an ldaps URL)`);
    case resultCode.insufficientAccessRights:
      return make('DIRECTORY_NO_RIGHTS', `${url} lets us not search ${baseDn}`);
    case resultCode.noSuchObject:
      return make('DIRECTORY_BASE_ABSENT', `${url} has no ${baseDn}`);
    case resultCode.invalidDnSyntax:
      return make('DIRECTORY_QUERY_INVALID', `${url} cannot read a DN`);
    case resultCode.sizeLimitExceeded:
    case resultCode.adminLimitExceeded:
      return make('DIRECTORY_SIZE_LIMIT', `${url} does not give all entries below ${baseDn}`);
    case resultCode.referral:
      return make('DIRECTORY_REFERRAL', `${url} refers to another directory for ${baseDn}`);
    default:
      return make('DIRECTORY_FAILED', `${url} cannot search ${baseDn}`);
  }
  const code = (error as { code?: unknown }).code;
  if (
    typeof code === 'string' &&
    /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS|ERR_SSL|HOSTNAME_)/.test(code)
  ) {
    return make('DIRECTORY_TLS_FAILED', `TLS with ${url} failed`);
  }
  return make('DIRECTORY_UNREACHABLE', `${url} does not answer`);
}

/** The error for a change that the directory refused. */
export function refusedWrite(options: LdapOptions, dn: string, error: ResultCodeError): UnderstudyError {
  const { url, bindDn, serverAttribute } = options;
  const make = (code: DirectoryCode, message: string) =>
    failure(options, code, `${message}: ${messageOf(error)}`, error);
  switch (error.code) {
    case resultCode.insufficientAccessRights:
    case resultCode.strongerAuthRequired:
      return make(
        'DIRECTORY_NO_WRITE_RIGHTS',
        `${url} lets ${bindDn ?? 'anonymous'} not change ${serverAttribute} of ${dn}`,
      );
    case resultCode.referral:
      return make('DIRECTORY_REFERRAL', `${url} refers to another directory for changes of ${dn}`);
    case resultCode.unwillingToPerform:
      return make('DIRECTORY_READ_ONLY', `${url} takes no change of ${dn}`);
    case resultCode.noSuchObject:
      return gone(options, dn, error);
    case resultCode.noSuchAttribute:
    case resultCode.attributeOrValueExists:
    case resultCode.assertionFailed:
      return make('DIRECTORY_CHANGED_MEANWHILE', `${serverAttribute} of ${dn} changes while it is written`);
    default:
      // Attribute problems (16 to 21) and update problems (64 to 69).
      if ((error.code >= 16 && error.code <= 21) || (error.code >= 64 && error.code <= 69)) {
        return make('DIRECTORY_SCHEMA_REFUSES', `${url} refuses ${serverAttribute} of ${dn}`);
      }
      return make('DIRECTORY_FAILED', `${url} cannot change ${dn}`);
  }
}

export function gone(options: LdapOptions, dn: string, cause?: unknown): UnderstudyError {
  return failure(options, 'DIRECTORY_ENTRY_GONE', `${options.url} has no ${dn}`, cause);
}

/** An error whose remedy names this directory in place of capitals. */
export function failure(
  options: LdapOptions,
  code: DirectoryCode,
  message: string,
  cause?: unknown,
): UnderstudyError {
  const { url, bindDn, baseDn, serverAttribute, accountAttribute } = options;
  const remedy = directoryErrors.declarations[code].remedy
    .replace('-D BINDDN -W', bindDn === undefined ? '' : `-D "${bindDn}" -W`)
    .replace('BINDDN', bindDn ?? 'cn=understudy,…')
    .replace('"BASEDN"', `"${baseDn}"`)
    .replace('BASEDN', `"${baseDn}"`)
    .replace('SERVERATTRIBUTE', serverAttribute)
    .replace('ACCOUNTATTRIBUTE', accountAttribute)
    .replace(' URL', ` ${url}`);
  return directoryErrors.make(code, message, { cause, remedy, details: { url, bindDn, baseDn } });
}

export function invalid(message: string, cause?: unknown): UnderstudyError {
  return directoryErrors.make('DIRECTORY_QUERY_INVALID', message, { cause });
}
