/**
 * Debian packages: which are missing, and their installation where that is possible.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';

/** Those of `packages` that are not installed; all of them where there is no dpkg. */
export function missingPackages(packages: readonly string[]): string[] {
  return packages.filter((name) => !isInstalled(name));
}

/** Whether this machine installs packages with apt. */
export function haveApt(): boolean {
  return existsSync('/usr/bin/apt-get');
}

/**
 * Installs `packages`, as root; `say` is told each step before it is taken. Returns nothing when they are there,
 * else apt's last words. Services of newly installed packages are not started, no package is removed. May be repeated.
 */
export function installPackages(
  packages: readonly string[],
  say: (text: string) => void,
): string | undefined {
  return withoutServices(() => {
    if (!havePackageLists()) {
      say('Updating the package lists first (apt-get update)');
      const update = aptGet('update');
      if (update !== undefined) return update;
    }
    const first = aptGet('install', ...packages);
    if (first === undefined) return undefined;
    // Lists that are old name versions that are gone.
    say('Updating the package lists (apt-get update) and trying again');
    return aptGet('update') ?? aptGet('install', ...packages);
  });
}

function isInstalled(name: string): boolean {
  const query = spawnSync('dpkg-query', ['-W', '-f', `\${db:Status-Abbrev}`, name], { encoding: 'utf8' });
  return query.status === 0 && query.stdout.startsWith('ii');
}

function havePackageLists(): boolean {
  const folder = '/var/lib/apt/lists';
  return existsSync(folder) && readdirSync(folder).some((name) => name.includes('_Packages'));
}

/** Nothing when it went well, else its last words. */
function aptGet(command: string, ...packages: string[]): string | undefined {
  const options =
    command === 'install' ? ['-y', '--no-install-recommends', '--no-remove', '-o', 'Dpkg::Use-Pty=0'] : [];
  const run = spawnSync(
    'apt-get',
    ['-q', '-o', 'DPkg::Lock::Timeout=600', command, ...options, ...packages],
    {
      encoding: 'utf8',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 26,
    },
  );
  if (run.status === 0) return undefined;
  const words = `${run.stdout ?? ''}\n${run.stderr ?? ''}`.trim().split('\n').slice(-5).join('\n');
  return `apt-get ${command} failed: ${run.error?.message ?? words}`;
}

/**
 * Debian starts a service as soon as it is installed; a mail server of the machine on all addresses would be in
 * the way. policy-rc.d (status 101 = do not) is Debian's switch for that; one that is there is left alone.
 */
function withoutServices<T>(work: () => T): T {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return work();
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return work();
  } finally {
    rmSync(policy, { force: true });
  }
}
