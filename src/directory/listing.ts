/** Who is where: accounts by a filter, read in pages (RFC 2696) so that the server's size limit is no bound. */
import type { Client, Entry, Filter } from 'ldapts';
import { withConnection } from './connection.ts';
import type { Binding } from './directory.ts';
import { foldValue } from './judge.ts';
import type { LdapOptions } from './options.ts';
import { accountsWith, everyAccount, valuesOf } from './query.ts';

const PAGE_ENTRIES = 500;
/** Accounts that one search names. */
const NAMES_PER_SEARCH = 200;

/** See `Directory.bindings`. */
export async function listBindings(
  options: LdapOptions,
  accounts: readonly string[] | undefined,
  serverHost: string | undefined,
  signal?: AbortSignal,
): Promise<Binding[]> {
  const { accountAttribute, serverAttribute } = options;
  const wanted =
    accounts === undefined ? undefined : new Map(accounts.map((name) => [foldValue(name), name]));
  // An entry with two of the names comes with both searches that name them.
  const bindings = new Map<string, Binding>();
  const elsewhere = (values: readonly string[]) =>
    accounts !== undefined &&
    serverHost !== undefined &&
    !values.some((value) => foldValue(value) === foldValue(serverHost));
  await withConnection(options, signal, async ({ client }) => {
    for (const filter of filters(options, accounts, serverHost)) {
      for await (const entry of entriesIn(
        options,
        client,
        filter,
        [accountAttribute, serverAttribute],
        signal,
      )) {
        const values = valuesOf(entry, serverAttribute);
        if (elsewhere(values)) continue;
        for (const name of valuesOf(entry, accountAttribute)) {
          const account = wanted === undefined ? name : wanted.get(foldValue(name));
          if (account !== undefined)
            bindings.set(`${account}\0${entry.dn}`, { account, dn: entry.dn, values });
        }
      }
    }
  });
  return [...bindings.values()].sort(
    (one, other) => compare(one.account, other.account) || compare(one.dn, other.dn),
  );
}

/** Every entry that `filter` finds, one page in memory at a time. */
export async function* entriesIn(
  options: LdapOptions,
  client: Client,
  filter: Filter,
  attributes: string[],
  signal?: AbortSignal,
): AsyncGenerator<Entry> {
  const { baseDn, url, log } = options;
  const pages = client.searchPaginated(baseDn, {
    filter,
    scope: 'sub',
    attributes,
    paged: { pageSize: PAGE_ENTRIES },
  });
  for await (const { searchEntries, searchReferences } of pages) {
    signal?.throwIfAborted();
    // Accounts are listed again and again; it is the same every time.
    if (searchReferences.length > 0 && !told.has(options)) {
      told.add(options);
      log?.warn({ url, baseDn, elsewhere: searchReferences }, 'accounts in other directories are not seen');
    }
    yield* searchEntries;
  }
}

/** Directories of which it was told that they refer elsewhere. */
const told = new WeakSet<LdapOptions>();

function* filters(
  options: LdapOptions,
  accounts: readonly string[] | undefined,
  serverHost: string | undefined,
): Generator<Filter> {
  if (accounts === undefined) {
    yield serverHost === undefined
      ? everyAccount(options)
      : accountsWith(options, options.serverAttribute, [serverHost]);
    return;
  }
  for (let at = 0; at < accounts.length; at += NAMES_PER_SEARCH) {
    yield accountsWith(options, options.accountAttribute, accounts.slice(at, at + NAMES_PER_SEARCH));
  }
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
