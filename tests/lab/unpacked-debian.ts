/**
 * Packages of a release of Debian, taken from the machine's own mirror with all that they depend on and unpacked into a folder of the
 * user's cache, once. Nothing is installed: none of their scripts runs, and the machine's apt does not learn of them.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
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

export type DebianRelease = 12 | 13;
const SUITES: Readonly<Record<DebianRelease, string>> = { 12: 'bookworm', 13: 'trixie' };

/** Why packages cannot be unpacked and run on this machine; undefined where they can. */
export function unpackingImpossible(): string | undefined {
  if (process.platform !== 'linux' || !haveApt()) return 'this is not Debian';
  if (process.getuid?.() !== 0) return 'only root can mount';
  return undefined;
}

/**
 * The folder that holds `packages`, laid out as a machine's `/`. `without` are packages that they depend on and that are left away.
 * Throws where they cannot be had. May be repeated, and by many at once: the folder is made under a name of its own and renamed, so that
 * it is whole where it is there at all. It is shared; nobody writes into it.
 */
export function unpackedDebian(
  release: DebianRelease,
  packages: readonly string[],
  without: readonly string[] = [],
): string {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'understudy-lab');
  const root = join(cache, `debian${release}-${packages.join('-')}-${MAKEUP}`);
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
      process.stderr.write(`Unpacking ${packages.join(' ')} of Debian ${release} into ${root}\n`);
      unpack(release, packages, without, making);
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

/** Runs `command` to its end. Nothing when it went well, else its last words. */
export function failureOf(
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

function unpack(
  release: DebianRelease,
  packages: readonly string[],
  without: readonly string[],
  folder: string,
): void {
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
  writeFileSync(join(folder, 'sources.list'), sources(release));
  writeFileSync(join(folder, 'status'), installedAlready(without));
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

/** What dpkg would have noted of one package that provides all these. */
function installedAlready(names: readonly string[]): string {
  if (names.length === 0) return '';
  return [
    'Package: left-away',
    'Status: install ok installed',
    'Architecture: all',
    'Version: 1',
    'Maintainer: nobody <nobody@invalid>',
    'Description: stands for packages that are not needed',
    `Provides: ${names.map((name) => `${name} (= 999)`).join(', ')}`,
    '',
  ].join('\n');
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

/** The mirrors that this machine takes its Debian from, with the suites of `release`. */
function sources(release: DebianRelease): string {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)';
  const told = spawnSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {
    encoding: 'utf8',
  });
  const lines = new Set<string>();
  for (const line of told.stdout.split('\n')) {
    const [uri, suite = '', component, origin] = line.split(' ');
    const found = /^(?:bookworm|trixie)(-updates|-security)?$/.exec(suite);
    // The origin is known where lists are.
    if (!found || component !== 'main' || (origin !== 'Debian' && !origin?.startsWith('$('))) continue;
    const signed = existsSync(KEYRING) ? ` [signed-by=${KEYRING}]` : '';
    lines.add(`deb${signed} ${uri} ${SUITES[release]}${found[1] ?? ''} main\n`);
  }
  if (lines.size === 0) throw new Error('apt knows no mirror of Debian on this machine');
  return [...lines].join('');
}

function mustRun(command: string, args: readonly string[], stdio?: ('ignore' | 'pipe' | number)[]): void {
  const failure = failureOf(command, args, stdio);
  if (failure !== undefined) throw new Error(failure);
}
