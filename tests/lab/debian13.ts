/**
 * Programs of Debian 13 on a Debian 12, unpacked into the user's cache. They run where that folder lies over `/usr`, in a mount namespace
 * of their own, which ends with them; everything else is as the machine has it, temporary folders too.
 */
import { lstatSync } from 'node:fs';
import { failureOf, unpackedDebian, unpackingImpossible } from './unpacked-debian.ts';

export interface Debian13 {
  /** `program` with `args`, for `spawn`; its process is the program's own. */
  command(program: string, args: readonly string[]): readonly [command: string, args: readonly string[]];
}

/**
 * The programs of `packages`, or the reason why they cannot be had, for a test to skip with. `harmless` is a command of theirs that is
 * tried, for there is nothing else. May be repeated, and by many at once.
 */
export function debian13(
  packages: readonly string[],
  harmless: readonly [program: string, ...args: string[]],
): Debian13 | string {
  const why = unpackingImpossible() ?? splitUsr();
  if (why !== undefined) return `needs ${packages.join(' ')} of Debian 13: ${why}`;
  try {
    const world = worldIn(unpackedDebian(13, packages));
    const [program, ...args] = harmless;
    const tried = failureOf(...world.command(program, args));
    if (tried !== undefined) return `needs a mount namespace: ${tried}`;
    return world;
  } catch (error) {
    return `needs ${packages.join(' ')} of Debian 13: ${(error as Error).message}`;
  }
}

function worldIn(root: string): Debian13 {
  const script = 'mount --bind "$0/usr" /usr && exec "$@"';
  return {
    command: (program, args) => ['unshare', ['--mount', 'sh', '-c', script, root, program, ...args]],
  };
}

/** Programs would be looked for beside /usr. */
function splitUsr(): string | undefined {
  const merged = ['/bin', '/lib', '/sbin'].every((path) => lstatSync(path).isSymbolicLink());
  return merged ? undefined : 'the machine has /bin and /lib beside /usr';
}
