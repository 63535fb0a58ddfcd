import { hostname, userInfo } from 'node:os';

/** Who runs this command: `user@host`, as plans record it. */
export function callerOfProcess(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in the system's list: the number says who it is.
    return `uid${process.getuid?.() ?? ''}`;
  }
}
