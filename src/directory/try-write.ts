/** Proves the right to rebind by a change that changes nothing. */
import { AndFilter, type Client, type Entry, type Filter, ResultCodeError } from 'ldapts';
import { withConnection } from './connection.ts';
import { failure, refusedWrite, resultCode } from './failures.ts';
import { changesFor } from './judge.ts';
import type { LdapOptions } from './options.ts';
import { everyAccount, isPresent, valuesOf } from './query.ts';

/** How often another entry is tried when the one at hand changes at the same moment. */
const TRIES = 3;

/**
 * See `Directory.tryWrite`. The change has the shape that rebinding has: it deletes the values of one entry by name and adds the
 * same again, in one request, which the server carries out whole or not at all; nobody ever reads the entry without them. What
 * remains is the time of the last change (modifyTimestamp). Where no account has a value, the right is tried by deleting one that
 * is not there, which a server that would let us answers with noSuchAttribute.
 */
export async function tryWrite(options: LdapOptions, signal?: AbortSignal): Promise<void> {
  const { serverAttribute, baseDn } = options;
  const bound = new AndFilter({ filters: [everyAccount(options), isPresent(serverAttribute)] });
  await withConnection(options, signal, async ({ client }) => {
    for (let tries = 1; ; tries += 1) {
      const entry =
        (await anyEntry(options, client, bound)) ?? (await anyEntry(options, client, everyAccount(options)));
      if (entry === undefined) {
        throw failure(options, 'DIRECTORY_ACCOUNTS_ABSENT', `no account below ${baseDn}`);
      }
      const values = valuesOf(entry, serverAttribute);
      const unbound = values.length === 0;
      try {
        const changes = unbound
          ? changesFor(serverAttribute, ['understudy-tries-to-write.invalid'], [])
          : changesFor(serverAttribute, values, values);
        await client.modify(entry.dn, changes);
        return;
      } catch (error) {
        if (!(error instanceof ResultCodeError)) throw error;
        if (error.code !== resultCode.noSuchAttribute) throw refusedWrite(options, entry.dn, error);
        if (unbound) return;
        if (tries === TRIES) throw refusedWrite(options, entry.dn, error);
      }
    }
  });
}

async function anyEntry(
  { baseDn, serverAttribute }: LdapOptions,
  client: Client,
  filter: Filter,
): Promise<Entry | undefined> {
  const { searchEntries } = await client.search(baseDn, {
    filter,
    scope: 'sub',
    attributes: [serverAttribute],
    sizeLimit: 1,
  });
  return searchEntries[0];
}
