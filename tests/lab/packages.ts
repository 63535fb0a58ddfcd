/**
 * Debian packages that tests need: what is missing is announced and installed, where that is possible.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';

/** Everything the whole test run uses. */
export const ALL_PACKAGES: readonly string[] = [
  'dovecot-core',
  'dovecot-imapd',
  'dovecot-lmtpd',
  'dovecot-pop3d',
  'isync',
  'ldap-utils',
  'openssl',
  'slapd',
  'strace',
];

/**
 * Makes sure that `packages` are installed. Returns nothing when they are, else the reason they are not, for a
 * test to skip with. Services of newly installed packages are not started. May be repeated.
 */
export function requirePackages(packages: readonly string[]): string | undefined {
  const missing = packages.filter((name) => !isInstalled(name));
  if (missing.length === 0) return undefined;
  const wanted = missing.join(' ');
  if (!existsSync('/usr/bin/apt-get')) return `needs the Debian packages ${wanted}, and this is not Debian`;
  if (process.getuid?.() !== 0) return `needs the Debian packages ${wanted}: apt-get install ${wanted}`;
  process.stderr.write(`Installing Debian packages: ${wanted}\n`);
  const failure = withoutServices(() => {
    if (!havePackageLists()) {
      process.stderr.write('Updating the package lists first (apt-get update)\n');
      const update = aptGet('update');
      if (update !== undefined) return update;
    }
    const first = aptGet('install', ...missing);
    if (first === undefined) return undefined;
    // Lists that are old name versions that are gone.
    process.stderr.write('Updating the package lists (apt-get update) and trying again\n');
    return aptGet('update') ?? aptGet('install', ...missing);
  });
  return failure === undefined ? undefined : `needs the Debian packages ${wanted}: ${failure}`;
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
