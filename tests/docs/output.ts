/**
 * Compares what a page shows with what a command printed. What differs from run to run (times, LSNs, ids, durations)
 * is alike by its form. In the page `…` stands for any text within a line, and alone in a line for any lines.
 */

/** Undefined when they agree, else the first line of the page that the output lacks at its place. */
export function missingLine(shown: readonly string[], printed: string): string | undefined {
  const wanted = [...shown];
  while (wanted.at(-1)?.trim() === '') wanted.pop();
  const asideToo = shown.some(isAside);
  const lines = printed
    .replace(/\n$/, '')
    .split('\n')
    .filter((line) => asideToo || !isAside(line))
    .map(normal);
  let at = 0;
  let anywhere = false;
  for (const line of wanted) {
    if (line.trim() === '…') {
      anywhere = true;
      continue;
    }
    const pattern = patternOf(normal(line));
    if (anywhere) while (at < lines.length && !pattern.test(lines[at] as string)) at += 1;
    if (at >= lines.length || !pattern.test(lines[at] as string)) return line;
    at += 1;
    anywhere = false;
  }
  return anywhere || at === lines.length ? undefined : `(end of output, but there is: ${lines[at]})`;
}

/** Logs and progress come when they come. */
function isAside(line: string): boolean {
  return line.startsWith('{"level":') || /^\w+ \S+: .*\d of \d.* · /.test(line);
}

function normal(line: string): string {
  return line
    .replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/\b\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, '<date>')
    .replace(/\blsn:[\d,]+/g, 'lsn:<n>')
    .replace(/"(lsn|at|elapsedMs)":[\d.]+/g, '"$1":<n>')
    .replace(/\b[0-9a-f]{32,64}\b/g, '<id>')
    .replace(/\b(process|"pid":) ?\d+/g, '$1 <n>')
    .replace(/\b\d+(\.\d+)? (ms|s)\b/g, '<duration>')
    .replace(/\b17[0-9]{8}\b/g, '<seconds>')
    .replace(/\s+/g, ' ')
    .trim();
}

function patternOf(line: string): RegExp {
  const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'u');
}
