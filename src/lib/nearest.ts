/**
 * The candidate that a misspelt name most likely meant, for error messages. Absent when nothing is near enough:
 * a far guess misleads more than no guess.
 *
 * Letter case is ignored; an insertion, deletion, replacement or swap of neighbours counts 1 (optimal string
 * alignment distance). Near enough is a third of the name's length, at least 1; a candidate that begins with the
 * name (3 letters or more) is near too. Of equally near ones the first wins.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase().slice(0, longest);
  const bound = Math.max(1, Math.floor(wanted.length / 3));
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const other = candidate.toLowerCase().slice(0, longest);
    let distance = bound + 1;
    if (Math.abs(other.length - wanted.length) <= bound) distance = editDistance(wanted, other);
    else if (wanted.length >= 3 && other.startsWith(wanted)) distance = bound;
    if (distance <= bound && (!best || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** Names are compared up to this length, so that a hostile name costs no time. */
const longest = 200;

function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(replaced, (previous[j] as number) + 1, (row[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforePrevious[j - 2] as number) + 1);
      }
      row.push(cost);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length] as number;
}
