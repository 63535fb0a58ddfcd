/**
 * Servers of Debian 12 that cannot be installed beside Dovecot, unpacked into the user's cache. They run with that folder as their `/`, in a
 * mount namespace of their own, which ends with them. The server's own folder is `/lab` there, and its `etc`, `run` and `tmp` are
 * those of that world. What they tell syslog goes to the stream socket `syslog` in it.
 */
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { type ProcessGroup, startProcessGroup } from './process-group.ts';
import { failureOf, unpackedDebian, unpackingImpossible } from './unpacked-debian.ts';

export type ProgramAndArgs = readonly [program: string, ...args: string[]];

export interface ServerProcess {
  readonly run: ProgramAndArgs;
  /** As whom, and as which group. Default: root. */
  readonly id?: number;
}

export interface Debian12 {
  /** Starts servers, that stay in the foreground, as one group; they are asked to end together. */
  start(folder: string, servers: readonly ServerProcess[], env?: NodeJS.ProcessEnv): ProcessGroup;
  /** Runs a program to its end. Throws with its words when it fails. */
  run(folder: string, program: ProgramAndArgs, input?: string): void;
}

/**
 * The programs of `packages`, or the reason why they cannot be had, for a test to skip with; `without` as in `unpackedDebian`.
 * May be repeated, and by many at once.
 */
export function debian12(packages: readonly string[], without: readonly string[]): Debian12 | string {
  const why = unpackingImpossible();
  if (why !== undefined) return `needs ${packages.join(' ')} of Debian 12: ${why}`;
  try {
    const root = unpackedDebian(12, packages, without);
    const tried = failureOf('unshare', ['--mount', 'mount', '--bind', tmpdir(), root]);
    if (tried !== undefined) return `needs a mount namespace: ${tried}`;
    return worldIn(root);
  } catch (error) {
    return `needs ${packages.join(' ')} of Debian 12: ${(error as Error).message}`;
  }
}

function worldIn(root: string): Debian12 {
  return {
    start: (folder, servers, env = {}) => {
      // A server that changes its user would not hear that this process died; the shell that waits for it does.
      const script = [
        enter,
        "trap 'kill $servers' TERM",
        ...servers.map(
          ({ run, id = 0 }) =>
            `chroot --userspec=${id}:${id} . ${run.map(quoted).join(' ')} & servers="$servers $!"`,
        ),
        'while ! wait; do :; done',
      ].join('\n');
      return startProcessGroup('unshare', ['--mount', 'sh', '-ec', script, root, folder], {
        cwd: folder,
        env: { ...process.env, ...env },
      });
    },
    run: (folder, program, input = '') => {
      const script = `${enter}\nshift\nexec chroot . "$@"`;
      const { status, stderr, error } = spawnSync(
        'unshare',
        ['--mount', 'sh', '-ec', script, root, folder, ...program],
        { input, encoding: 'utf8' },
      );
      if (status !== 0) throw new Error(`${program.join(' ')} failed: ${error?.message ?? stderr}`);
    },
  };
}

/** `$0` is the unpacked root, `$1` the server's folder. */
const enter = `
cd "$0"
mkdir -p lab proc dev etc run tmp "$1/etc" "$1/run" "$1/tmp"
mount --bind "$1" lab
mount --bind "$1/etc" etc
mount --bind "$1/run" run
mount --bind "$1/tmp" tmp
mount --bind /proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom; do
  : > dev/$device
  mount --bind /dev/$device dev/$device
done
ln -s /lab/syslog dev/log
`;

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
