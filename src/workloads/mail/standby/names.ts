/**
 * Names of mailboxes on the target: those of the replica, written with the target's hierarchy separator, and the kinds
 * that a bringing up makes itself.
 */

/** Holds what only the standby had in `NAME`. It stays, and no comparison counts it. */
const KEPT_SUFFIX = '-only-on-standby';
/** Holds what was in `NAME` before it was built anew; it is sorted out and goes. */
const REPLACED_SUFFIX = '-being-replaced';
/** Holds the list that numbers the messages of `NAME` anew, for a moment. */
const NUMBERS_SUFFIX = '-being-numbered';

export interface NameRules {
  /** Of the target; null = flat. */
  readonly separator: string | null;
  readonly prefix: string;
}

/** The target's name of a mailbox of the replica. */
export function nameOnTarget(row: { name: string; delimiter: string | null }, rules: NameRules): string {
  if (row.name === 'INBOX') return 'INBOX';
  const { separator, prefix } = rules;
  const own =
    row.delimiter === null || row.delimiter === separator
      ? row.name
      : row.name.split(row.delimiter).join(separator ?? '_');
  return prefix === '' || own.startsWith(prefix) ? own : prefix + own;
}

export function keptName(mailbox: string, rules: NameRules): string {
  return besideName(mailbox, KEPT_SUFFIX, rules);
}

export function replacedName(mailbox: string, rules: NameRules): string {
  return besideName(mailbox, REPLACED_SUFFIX, rules);
}

export function numbersName(mailbox: string, rules: NameRules): string {
  return besideName(mailbox, NUMBERS_SUFFIX, rules);
}

/** In the personal namespace, which INBOX alone need not be named in. */
function besideName(mailbox: string, suffix: string, { separator, prefix }: NameRules): string {
  return (mailbox === 'INBOX' ? prefix : '') + withoutTail(mailbox, separator) + suffix;
}

export function isKept(name: string): boolean {
  return name.endsWith(KEPT_SUFFIX);
}

/** The mailbox for whose sake this one was made, to be replaced or numbered anew; undefined for any other. */
export function homeOf(name: string, { prefix }: NameRules): string | undefined {
  const suffix = [REPLACED_SUFFIX, NUMBERS_SUFFIX].find((tail) => name.endsWith(tail));
  if (suffix === undefined) return undefined;
  const home = name.slice(0, -suffix.length);
  return home === `${prefix}INBOX` ? 'INBOX' : home;
}

function withoutTail(name: string, separator: string | null): string {
  return separator !== null && name.endsWith(separator) ? name.slice(0, -separator.length) : name;
}
