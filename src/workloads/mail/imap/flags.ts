/** Flags and keywords as the journal keeps them: sorted, system flags in their RFC spelling, without \Recent. */

const SYSTEM_FLAGS = new Map(
  ['\\Answered', '\\Deleted', '\\Draft', '\\Flagged', '\\Seen'].map((flag) => [flag.toLowerCase(), flag]),
);

export function normalizeFlags(flags: Iterable<string>): readonly string[] {
  const kept = new Set<string>();
  for (const flag of flags) {
    if (!flag.startsWith('\\')) kept.add(flag);
    else if (flag.toLowerCase() !== '\\recent') kept.add(SYSTEM_FLAGS.get(flag.toLowerCase()) ?? flag);
  }
  return Object.freeze([...kept].sort());
}

/**
 * Remembers the list made from each text between the parentheses: mailboxes of a million messages hold a
 * handful of distinct lists, so neither parsing nor memory is paid per message.
 */
export class FlagLists {
  readonly #lists = new Map<string, readonly string[]>();

  of(text: string): readonly string[] {
    const known = this.#lists.get(text);
    if (known) return known;
    const list = normalizeFlags(text.split(' ').filter((flag) => flag !== ''));
    if (this.#lists.size >= 4096) this.#lists.clear();
    this.#lists.set(text, list);
    return list;
  }
}
