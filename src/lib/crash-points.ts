/**
 * Named points at which a test can end this process as `kill -9` would. In production the variable is not
 * set and a point costs one comparison.
 *
 * `UNDERSTUDY_CRASH_AT=journal.append.before-sync` ends at the first pass,
 * `UNDERSTUDY_CRASH_AT=journal.append.before-sync:3` at the third.
 */
const [target, nth] = (process.env['UNDERSTUDY_CRASH_AT'] ?? '').split(':');
let passesLeft = Number(nth ?? 1);

export function crashPoint(name: string): void {
  if (!target || target !== name) return;
  passesLeft -= 1;
  if (passesLeft === 0) process.kill(process.pid, 'SIGKILL');
}
