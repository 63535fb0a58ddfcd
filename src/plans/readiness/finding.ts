/** Making findings. */
import { messageOf, UnderstudyError } from '../../lib/index.ts';
import type { Finding } from './types.ts';

/** What a check is about: `id` and `title` of what it finds. */
export interface Subject {
  readonly id: string;
  readonly title: string;
}

export function green(subject: Subject, detail: string): Finding {
  return { ...subject, state: 'green', detail, remedy: '' };
}

export function amber(subject: Subject, detail: string, remedy: string): Finding {
  return { ...subject, state: 'amber', detail, remedy };
}

export function red(subject: Subject, detail: string, remedy: string): Finding {
  return { ...subject, state: 'red', detail, remedy };
}

/** An error of ours as a finding; any other is a defect, and is thrown. */
export function fromError(subject: Subject, error: unknown, state: 'amber' | 'red' = 'red'): Finding {
  if (!(error instanceof UnderstudyError)) throw error;
  return { ...subject, state, detail: `${error.code}: ${messageOf(error)}`, remedy: error.remedy };
}

/** Detail and remedy of what a dry run leaves out. */
export const NOT_TRIED: readonly [string, string] = [
  'not tried in a dry run, for it would be written to',
  'Try it: understudy check PAIR',
];

/** At most five of them by name: `user0001, user0002 and 8 more`. */
export function named(list: readonly string[]): string {
  const shown = list.slice(0, 5).join(', ');
  return list.length > 5 ? `${shown} and ${list.length - 5} more` : shown;
}
