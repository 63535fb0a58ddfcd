/** LDAP (RFC 4511): accounts by a filter, read in pages (RFC 2696) so that the server's size limit is no bound. */
import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import {
  AndFilter,
  Client,
  ConfidentialityRequiredError,
  type Entry,
  EqualityFilter,
  type Filter,
  FilterParser,
  InappropriateAuthError,
  InsufficientAccessError,
  InvalidCredentialsError,
  InvalidDNSyntaxError,
  NoSuchObjectError,
  ResultCodeError,
  StrongAuthRequiredError,
} from 'ldapts';
import { messageOf, UnderstudyError } from '../lib/index.ts';
import type { Directory } from './directory.ts';
import { directoryErrors } from './errors.ts';

export interface LdapOptions {
  /** `ldap://host:389` or `ldaps://host:636`. */
  readonly url: string;
  /** Absent = anonymous. */
  readonly bindDn?: string;
  readonly bindSecret?: string;
  readonly baseDn: string;
  /** RFC 4515; with or without the outer parentheses. */
  readonly accountFilter: string;
  /** Holds the login name; every value of it is an account. */
  readonly accountAttribute: string;
  /** Holds the host of the server with the account's mail. */
  readonly serverAttribute: string;
  /** StartTLS on an `ldap:` URL. */
  readonly startTls?: boolean;
  /** PEM file of the authority; absent = the system's. */
  readonly caFile?: string;
  /** Until connected, and for each answer. Default 30,000. */
  readonly timeoutMs?: number;
}

const PAGE_ENTRIES = 500;
const ATTRIBUTE_NAME = /^[A-Za-z0-9.-]+(?:;[A-Za-z0-9-]+)*$/;

export function ldapDirectory(options: LdapOptions): Directory {
  const later = (): never => {
    throw new Error('not yet');
  };
  return {
    listAccounts: (serverHost, signal) => listAccounts(options, serverHost, signal),
    bindings: later,
    rebind: later,
    tryWrite: later,
  };
}

async function listAccounts(
  options: LdapOptions,
  serverHost: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const filter = accountsOfServer(options, serverHost);
  signal?.throwIfAborted();
  const tls = await tlsOptions(options);
  const timeoutMs = options.timeoutMs ?? 30_000;
  const client = new Client({
    url: options.url,
    timeout: timeoutMs,
    connectTimeout: timeoutMs,
    // ldapts speaks TLS from the first byte to any URL when it is given TLS options.
    ...(options.url.startsWith('ldaps:') ? { tlsOptions: tls } : {}),
  });
  const abort = () => {
    // The search under way rejects by itself once the connection is gone.
    client.unbind().catch(() => {});
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    if (options.startTls) {
      // Over a given socket TLS does not know whom it speaks to, and ldapts changes the object it gets.
      await client.startTLS({ ...tls, host: new URL(options.url).hostname }).catch((error: unknown) => {
        throw error instanceof ResultCodeError ? noStartTls(options, error) : error;
      });
    }
    if (options.bindDn !== undefined) await client.bind(options.bindDn, options.bindSecret ?? '');
    const accounts = new Set<string>();
    const pages = client.searchPaginated(options.baseDn, {
      filter,
      scope: 'sub',
      attributes: [options.accountAttribute],
      paged: { pageSize: PAGE_ENTRIES },
    });
    for await (const page of pages) {
      signal?.throwIfAborted();
      for (const entry of page.searchEntries) {
        for (const name of namesOf(entry, options.accountAttribute)) accounts.add(name);
      }
    }
    return [...accounts].sort();
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(options, error);
  } finally {
    signal?.removeEventListener('abort', abort);
    // The answer is here or its error is; a goodbye that fails changes nothing.
    await client.unbind().catch(() => {});
  }
}

/** The configured filter, and that the server attribute names this host. Built of parts: the host is data, whatever it holds. */
function accountsOfServer(options: LdapOptions, serverHost: string): Filter {
  for (const name of [options.accountAttribute, options.serverAttribute]) {
    if (!ATTRIBUTE_NAME.test(name)) throw invalid(`not an attribute name: "${name}"`);
  }
  const written = options.accountFilter.trim();
  // The parser forgives a missing parenthesis; a filter that its author meant otherwise is no filter.
  if (written.split('(').length !== written.split(')').length) {
    throw invalid(`accountFilter "${written}": the parentheses do not pair`);
  }
  try {
    const accounts = FilterParser.parseString(written.startsWith('(') ? written : `(${written})`);
    const onServer = new EqualityFilter({ attribute: options.serverAttribute, value: serverHost });
    return new AndFilter({ filters: [accounts, onServer] });
  } catch (error) {
    throw invalid(`accountFilter "${written}": ${messageOf(error)}`, error);
  }
}

/** Attribute names are not case-sensitive, and servers answer in their own spelling. */
function namesOf(entry: Entry, attribute: string): string[] {
  const wanted = attribute.toLowerCase();
  const names: string[] = [];
  for (const [name, value] of Object.entries(entry)) {
    if (name.toLowerCase() !== wanted) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      const text = one.toString();
      if (text !== '') names.push(text);
    }
  }
  return names;
}

async function tlsOptions(options: LdapOptions): Promise<ConnectionOptions> {
  if (options.caFile === undefined) return {};
  try {
    return { ca: await readFile(options.caFile, 'utf8') };
  } catch (error) {
    throw directoryErrors.make(
      'DIRECTORY_TLS_FAILED',
      `the authority's file cannot be read: ${messageOf(error)}`,
      {
        cause: error,
        remedy: `Check \`ca\`: ${options.caFile}.`,
      },
    );
  }
}

function noStartTls({ url }: LdapOptions, error: ResultCodeError): UnderstudyError {
  return directoryErrors.make('DIRECTORY_TLS_FAILED', `${url} does no StartTLS: ${error.message}`, {
    cause: error,
    remedy: 'Use an `ldaps://` URL, or switch TLS on in the directory.',
    details: { url },
  });
}

function explained(options: LdapOptions, error: unknown): UnderstudyError {
  if (error instanceof UnderstudyError) return error;
  const { url, bindDn, baseDn } = options;
  const make = (code: Parameters<typeof directoryErrors.make>[0], message: string) =>
    directoryErrors.make(code, `${message}: ${messageOf(error)}`, {
      cause: error,
      details: { url, bindDn, baseDn },
    });
  if (error instanceof InvalidCredentialsError || error instanceof InappropriateAuthError) {
    return make('DIRECTORY_BIND_REFUSED', `${url} refuses ${bindDn ?? 'anonymous'}`);
  }
  if (error instanceof StrongAuthRequiredError || error instanceof ConfidentialityRequiredError) {
    return make('DIRECTORY_TLS_FAILED', `${url} wants TLS (set \`startTls\` or an ldaps URL)`);
  }
  if (error instanceof InsufficientAccessError)
    return make('DIRECTORY_NO_RIGHTS', `${url} lets us not search ${baseDn}`);
  if (error instanceof NoSuchObjectError) return make('DIRECTORY_BASE_ABSENT', `${url} has no ${baseDn}`);
  if (error instanceof InvalidDNSyntaxError)
    return make('DIRECTORY_QUERY_INVALID', `${url} cannot read a DN`);
  if (error instanceof ResultCodeError) return make('DIRECTORY_FAILED', `${url} cannot search ${baseDn}`);
  const code = (error as { code?: unknown }).code;
  if (
    typeof code === 'string' &&
    /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS|ERR_SSL|HOSTNAME_)/.test(code)
  ) {
    return make('DIRECTORY_TLS_FAILED', `TLS with ${url} failed`);
  }
  return make('DIRECTORY_UNREACHABLE', `${url} does not answer`);
}

function invalid(message: string, cause?: unknown): UnderstudyError {
  return directoryErrors.make('DIRECTORY_QUERY_INVALID', message, { cause });
}
