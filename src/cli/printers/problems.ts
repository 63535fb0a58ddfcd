import { visible } from '../../lib/index.ts';

interface Problem {
  readonly account: string;
  readonly mailbox?: string | undefined;
  readonly uid?: number | undefined;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

const SHOWN_MAX = 20;

/** What is left to do, one remedy per code. */
export function printProblems(problems: readonly Problem[]): string {
  if (problems.length === 0) return '';
  const lines = problems
    .slice(0, SHOWN_MAX)
    .map((problem) => visible(`  ${placeOf(problem)}: ${problem.code}: ${problem.message}`));
  if (problems.length > SHOWN_MAX) lines.push(`  and ${problems.length - SHOWN_MAX} more (--json lists all)`);
  const remedies = new Map(problems.map((problem) => [problem.code, problem.remedy]));
  for (const [code, remedy] of remedies) lines.push(visible(`  remedy for ${code}: ${remedy}`));
  return `not done:\n${lines.join('\n')}\n`;
}

/** `alice INBOX 17` */
export function placeOf(place: {
  readonly account: string;
  readonly mailbox?: string | undefined;
  readonly uid?: number | undefined;
}): string {
  return [place.account, place.mailbox, place.uid === undefined ? undefined : `UID ${place.uid}`]
    .filter((part) => part !== undefined)
    .join(' ');
}
