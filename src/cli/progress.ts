/** Shows what long work reports: a line that is written over on a terminal, else a line every few seconds. */
import type { Clock, Progress, ProgressListener } from '../lib/index.ts';
import { bytes, duration, number, visible } from '../lib/index.ts';
import type { Io } from './io.ts';

const ON_TERMINAL_EVERY_MS = 100;
const ELSEWHERE_EVERY_MS = 5_000;

export interface ProgressLine {
  readonly show: ProgressListener;
  /** Clears the line, so that what follows begins on an empty one. */
  end(): void;
}

export function progressLine(io: Io, clock: Clock): ProgressLine {
  let shownAt = io.interactive ? Number.NEGATIVE_INFINITY : clock.monotonicMs();
  let dirty = false;
  return {
    show(progress) {
      if (progress.step !== undefined) {
        if (dirty) io.err('\r\x1b[2K');
        dirty = false;
        io.err(stepLine(progress.step));
        return;
      }
      const now = clock.monotonicMs();
      if (now - shownAt < (io.interactive ? ON_TERMINAL_EVERY_MS : ELSEWHERE_EVERY_MS)) return;
      shownAt = now;
      const text = progressText(progress);
      if (io.interactive) {
        io.err(`\r\x1b[2K${text.slice(0, io.columns - 1)}`);
        dirty = true;
      } else io.err(`${text}\n`);
    },
    end() {
      if (dirty) io.err('\r\x1b[2K');
      dirty = false;
    },
  };
}

/** One line per step as it begins and ends, on a terminal and elsewhere. */
function stepLine({ sentence, state, durationMs }: NonNullable<Progress['step']>): string {
  const text = visible(sentence);
  if (state === 'begins') return `→ ${text}\n`;
  if (state === 'done') return `  done${durationMs === undefined ? '' : ` in ${duration(durationMs)}`}\n`;
  if (state === 'already') return `✓ ${text}: already so\n`;
  if (state === 'failed') return `✗ ${text}\n`;
  return `  ${text}\n`;
}

/** `baseline: 12 of 40 accounts · 8,100 of 20,000 messages · 310 MiB · 1 min 2 s left · alice` */
export function progressText(progress: Progress): string {
  const parts = [
    of(progress.accountsDone, progress.accountsTotal, number, ' accounts'),
    of(progress.messagesDone, progress.messagesTotal, number, ' messages'),
    of(progress.bytesDone, progress.bytesTotal, bytes, ''),
    progress.etaMs === undefined ? '' : `${duration(progress.etaMs)} left`,
    visible([progress.account, progress.mailbox].filter((part) => part !== undefined).join(' ')),
  ].filter((part) => part !== '');
  return `${[progress.phase, progress.server].filter(Boolean).join(' ')}: ${parts.join(' · ')}`;
}

function of(
  done: number | undefined,
  total: number | undefined,
  show: (value: number) => string,
  unit: string,
): string {
  if (done === undefined) return total === undefined ? '' : `${show(total)}${unit}`;
  return total === undefined ? `${show(done)}${unit}` : `${show(done)} of ${show(total)}${unit}`;
}
