/** Reads what entries say now. */
import { ResultCodeError } from 'ldapts';
import type { Connection } from './connection.ts';
import { gone } from './failures.ts';
import { foldValue } from './judge.ts';
import { entriesIn } from './listing.ts';
import type { LdapOptions } from './options.ts';
import { pipelined } from './pipelined.ts';
import { accountsWith, isPresent, valuesOf } from './query.ts';
import type { Work } from './write.ts';

/** From so many entries on, pages of a search cost less than one request per entry. */
const MANY = 300;
/** More different hosts than this make a filter that no index helps with. */
const HOSTS_PER_SEARCH = 20;

/**
 * Sets `found` of each of `works`, or `unreadable`. Many entries come in pages, found by the values they have or are about to
 * have; what did not come (it has other values, or is gone) is asked for by name. Rejects when the connection is lost.
 */
export async function look(
  options: LdapOptions,
  connection: Connection,
  works: readonly Work[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const missing = works.length < MANY ? works : await lookInPages(options, connection, works, signal);
  await pipelined(missing, signal, (work) => lookAtOne(options, connection, work));
}

/** Returns those that the pages did not hold. */
async function lookInPages(
  options: LdapOptions,
  { client }: Connection,
  works: readonly Work[],
  signal: AbortSignal | undefined,
): Promise<readonly Work[]> {
  const { serverAttribute, log } = options;
  const wishes = works.flatMap(({ from, to }) => [from, to]);
  const hosts = new Set(wishes.flat().map(foldValue));
  if (hosts.size > HOSTS_PER_SEARCH) return works;
  const orNone = wishes.some((values) => values.length === 0);
  const missing = new Map(works.map((work) => [work.dn.toLowerCase(), work]));
  try {
    const filter = accountsWith(options, serverAttribute, [...hosts], orNone);
    for await (const entry of entriesIn(options, client, filter, [serverAttribute], signal)) {
      const key = entry.dn.toLowerCase();
      const work = missing.get(key);
      if (work === undefined) continue;
      missing.delete(key);
      work.found = valuesOf(entry, serverAttribute);
      work.unreadable = undefined;
    }
  } catch (error) {
    if (!(error instanceof ResultCodeError)) throw error;
    // A limit of searches does not meet who asks for entries by name.
    log?.debug({ error: error.message }, 'entries are read one by one');
  }
  return [...missing.values()];
}

async function lookAtOne(options: LdapOptions, { client }: Connection, work: Work): Promise<void> {
  const { serverAttribute } = options;
  try {
    const { searchEntries } = await client.search(work.dn, {
      scope: 'base',
      filter: isPresent('objectClass'),
      attributes: [serverAttribute],
    });
    const [entry] = searchEntries;
    work.unreadable = entry === undefined ? gone(options, work.dn) : undefined;
    work.found = entry === undefined ? [] : valuesOf(entry, serverAttribute);
  } catch (error) {
    if (!(error instanceof ResultCodeError)) throw error;
    work.unreadable = error;
    work.found = [];
  }
}
