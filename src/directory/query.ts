/** Filters and attributes. Filters are built of parts: names and hosts are data, whatever they hold. */
import {
  AndFilter,
  type Entry,
  EqualityFilter,
  type Filter,
  FilterParser,
  NotFilter,
  OrFilter,
  PresenceFilter,
} from 'ldapts';
import { messageOf } from '../lib/index.ts';
import { invalid } from './failures.ts';
import type { LdapOptions } from './options.ts';

const ATTRIBUTE_NAME = /^[A-Za-z0-9.-]+(?:;[A-Za-z0-9-]+)*$/;

/** The configured filter: every account. @throws DIRECTORY_QUERY_INVALID */
export function everyAccount(options: LdapOptions): Filter {
  for (const name of [options.accountAttribute, options.serverAttribute]) {
    if (!ATTRIBUTE_NAME.test(name)) throw invalid(`not an attribute name: "${name}"`);
  }
  const written = options.accountFilter.trim();
  // The parser forgives a missing parenthesis; a filter that its author meant otherwise is no filter.
  if (written.split('(').length !== written.split(')').length) {
    throw invalid(`accountFilter "${written}": the parentheses do not pair`);
  }
  try {
    return FilterParser.parseString(written.startsWith('(') ? written : `(${written})`);
  } catch (error) {
    throw invalid(`accountFilter "${written}": ${messageOf(error)}`, error);
  }
}

/** The accounts of which `attribute` has one of `values`, or, with `orNone`, has none. */
export function accountsWith(
  options: LdapOptions,
  attribute: string,
  values: readonly string[],
  orNone = false,
): Filter {
  const accounts = everyAccount(options);
  const filters: Filter[] = values.map((value) => new EqualityFilter({ attribute, value }));
  if (orNone) filters.push(isAbsent(attribute));
  const [only] = filters;
  return new AndFilter({
    filters: [accounts, filters.length === 1 && only ? only : new OrFilter({ filters })],
  });
}

export function isPresent(attribute: string): Filter {
  return new PresenceFilter({ attribute });
}

export function isAbsent(attribute: string): Filter {
  return new NotFilter({ filter: isPresent(attribute) });
}

/** Values of an attribute. Attribute names are not case-sensitive, and servers answer in their own spelling. */
export function valuesOf(entry: Entry, attribute: string): string[] {
  const wanted = attribute.toLowerCase();
  const values: string[] = [];
  for (const [name, value] of Object.entries(entry)) {
    if (name.toLowerCase() !== wanted) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      const text = one.toString();
      if (text !== '') values.push(text);
    }
  }
  return values;
}
