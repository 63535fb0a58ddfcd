/** Decides, from what an entry says and what was wished, what to do. Pure. */
import { Attribute, Change } from 'ldapts';

/**
 * | the entry says      | verdict    |
 * | ------------------- | ---------- |
 * | `to`                | `done`     |
 * | `from`              | `ready`    |
 * | anything else       | `conflict` |
 *
 * Where `from` equals `to` there is nothing to do: `done` comes first.
 */
export type Verdict = 'done' | 'ready' | 'conflict';

interface Wish {
  readonly from: readonly string[];
  readonly to: readonly string[];
}

export function judge(found: readonly string[], { from, to }: Wish): Verdict {
  if (sameValues(found, to)) return 'done';
  return sameValues(found, from) ? 'ready' : 'conflict';
}

/** True for the same values, as `foldValue` has them, in whatever order: a set. */
export function sameValues(one: readonly string[], other: readonly string[]): boolean {
  const [a, b] = [normalised(one), normalised(other)];
  return a.size === b.size && [...a].every((value) => b.has(value));
}

/**
 * The one modify request that turns `found` into `to`: each old value is deleted by name, so that the server refuses all
 * of it (noSuchAttribute) when one of them is not there any more. "Replace" would overwrite whatever is there.
 */
export function changesFor(attribute: string, found: readonly string[], to: readonly string[]): Change[] {
  const change = (operation: 'add' | 'delete', values: readonly string[]) =>
    new Change({ operation, modification: new Attribute({ type: attribute, values: [...values] }) });
  return [
    ...(found.length > 0 ? [change('delete', found)] : []),
    ...(to.length > 0 ? [change('add', to)] : []),
  ];
}

/**
 * Equal for values that a directory calls equal: their case does not count, nor spaces around them, nor how many are between two words
 * (RFC 4517, caseIgnoreMatch and caseIgnoreIA5Match; RFC 4518, 2.6.1). What its filters find must be found by us as well.
 */
export function foldValue(value: string): string {
  return value.replace(/ +/g, ' ').replace(/^ | $/g, '').toLowerCase();
}

function normalised(values: readonly string[]): Set<string> {
  return new Set(values.map(foldValue));
}
