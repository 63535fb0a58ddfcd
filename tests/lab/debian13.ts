/**
 * Programs of Debian 13 on a Debian 12: packages and all that they depend on are taken from the machine's own mirror and unpacked into a folder
 * of the user's cache, once. Nothing is installed. They run where that folder lies over `/usr`, in a mount namespace of their own,
 * which ends with them; everything else is as the machine has it, temporary folders too.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { haveApt } from '../../src/demo/dovecot/packages.ts';
import { systemClock } from '../../src/lib/index.ts';

/** Belongs to the name of the folder: another makeup gets another one. */
const MAKEUP = 1;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const MINUTES_MS = 60_000;
/** So long nobody tries again what failed: every test file would wait for the same mirror. */
const FAILED_FOR_MS = 10 * MINUTES_MS;

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
  const why = impossible();
  if (why !== undefined) return `needs ${packages.join(' ')} of Debian 13: ${why}`;
  try {
    const world = worldIn(rootWith(packages));
    const [program, ...args] = harmless;
    const tried = run(...world.command(program, args));
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

function impossible(): string | undefined {
  if (process.platform !== 'linux' || !haveApt()) return 'this is not Debian';
  if (process.getuid?.() !== 0) return 'only root can mount';
  // Elsewhere programs would be looked for beside /usr.
  const merged = ['/bin', '/lib', '/sbin'].every((path) => lstatSync(path).isSymbolicLink());
  return merged ? undefined : 'the machine has /bin and /lib beside /usr';
}

/** Made under a name of its own and renamed, so that it is whole where it is there at all. */
function rootWith(packages: readonly string[]): string {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'understudy-lab');
  const root = join(cache, `debian13-${packages.join('-')}-${MAKEUP}`);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  return underLock(join(cache, 'lock'), () => {
    if (existsSync(root)) return root;
    const failed = `${root}.failed`;
    const known = failureIn(failed);
    if (known !== undefined) throw new Error(known);
    // Whoever made one was killed, for the lock is ours.
    for (const name of readdirSync(cache).filter((one) => one.includes('.making-'))) {
      rmSync(join(cache, name), { recursive: true, force: true });
    }
    const making = mkdtempSync(`${root}.making-`);
    try {
      process.stderr.write(`Unpacking ${packages.join(' ')} of Debian 13 into ${root}\n`);
      unpack(packages, making);
      renameSync(join(making, 'root'), root);
      return root;
    } catch (error) {
      writeFileSync(failed, (error as Error).message);
      throw error;
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  });
}

function failureIn(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  return systemClock.wallMs() - statSync(file).mtimeMs < FAILED_FOR_MS
    ? readFileSync(file, 'utf8')
    : undefined;
}

/** Test files run side by side: one makes it, the others wait. The lock is that of the open file, which we share with flock(1). */
function underLock<T>(file: string, work: () => T): T {
  const lock = openSync(file, 'w');
  try {
    mustRun('flock', ['--timeout', '300', '3'], ['ignore', 'pipe', 'pipe', lock]);
    return work();
  } finally {
    closeSync(lock);
  }
}

function unpack(packages: readonly string[], folder: string): void {
  const root = join(folder, 'root');
  const lists = join(folder, 'lists');
  const archives = join(folder, 'cache', 'archives');
  for (const path of [root, join(lists, 'partial'), join(archives, 'partial')])
    mkdirSync(path, { recursive: true });
  // As a machine with merged /usr has them.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    mustRun('ln', ['-s', `usr/${name}`, join(root, name)]);
  }
  writeFileSync(join(folder, 'sources.list'), sources());
  writeFileSync(join(folder, 'status'), '');
  const apt = (...args: string[]) => mustRun('apt-get', [...privateApt(folder), ...args]);
  apt('update');
  apt('-y', '--download-only', 'install', ...packages);
  for (const name of readdirSync(archives).filter((one) => one.endsWith('.deb'))) {
    const archive = join(archives, name);
    mustRun('sh', [
      '-ec',
      'dpkg-deb --fsys-tarfile "$1" > "$2/tar"; tar -x --keep-directory-symlink -C "$3" -f "$2/tar"; rm "$2/tar"',
      'sh',
      archive,
      folder,
      root,
    ]);
  }
}

/** An apt that knows of no installed package and writes into `folder` only. */
function privateApt(folder: string): string[] {
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': folder,
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Log': folder,
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '15',
    // Of the machine's own release.
    'APT::Default-Release': '',
    'APT::Install-Recommends': 'false',
    // The folder may lie where only root may look.
    'APT::Sandbox::User': 'root',
    'APT::Update::Error-Mode': 'any',
  };
  return ['-q', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
}

/** The mirrors that this machine takes its Debian from, with the suites of Debian 13. */
function sources(): string {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)';
  const told = spawnSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {
    encoding: 'utf8',
  });
  const lines = new Set<string>();
  for (const line of told.stdout.split('\n')) {
    const [uri, release = '', component, origin] = line.split(' ');
    const suite = /^(?:bookworm|trixie)(-updates|-security)?$/.exec(release);
    // The origin is known where lists are.
    if (!suite || component !== 'main' || (origin !== 'Debian' && !origin?.startsWith('$('))) continue;
    const signed = existsSync(KEYRING) ? ` [signed-by=${KEYRING}]` : '';
    lines.add(`deb${signed} ${uri} trixie${suite[1] ?? ''} main\n`);
  }
  if (lines.size === 0) throw new Error('apt knows no mirror of Debian on this machine');
  return [...lines].join('');
}

function mustRun(command: string, args: readonly string[], stdio?: ('ignore' | 'pipe' | number)[]): void {
  const failure = run(command, args, stdio);
  if (failure !== undefined) throw new Error(failure);
}

/** Nothing when it went well, else its last words. */
function run(
  command: string,
  args: readonly string[],
  stdio: ('ignore' | 'pipe' | number)[] = ['ignore', 'pipe', 'pipe'],
): string | undefined {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    stdio,
    timeout: 5 * MINUTES_MS,
    maxBuffer: 1 << 26,
  });
  if (status === 0) return undefined;
  const words = `${stdout ?? ''}\n${stderr ?? ''}`.trim().split('\n').slice(-3).join(' ');
  return `${command} failed: ${error?.message ?? words}`;
}
