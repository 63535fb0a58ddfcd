/**
 * Debian packages that tests need: what is missing is announced and installed, where that is possible.
 */
import { haveApt, installPackages, missingPackages } from '../../src/demo/dovecot/packages.ts';

/** Everything the whole test run uses. */
export const ALL_PACKAGES: readonly string[] = [
  'dovecot-core',
  'dovecot-imapd',
  'dovecot-ldap',
  'dovecot-lmtpd',
  'dovecot-pop3d',
  'isync',
  'ldap-utils',
  'offlineimap3',
  'openssl',
  'postfix',
  'postfix-ldap',
  'slapd',
  'strace',
];

/**
 * Makes sure that `packages` are installed. Returns nothing when they are, else the reason they are not, for a
 * test to skip with. Services of newly installed packages are not started. May be repeated.
 */
export function requirePackages(packages: readonly string[]): string | undefined {
  const missing = missingPackages(packages);
  if (missing.length === 0) return undefined;
  const wanted = missing.join(' ');
  if (!haveApt()) return `needs the Debian packages ${wanted}, and this is not Debian`;
  if (process.getuid?.() !== 0) return `needs the Debian packages ${wanted}: apt-get install ${wanted}`;
  process.stderr.write(`Installing Debian packages: ${wanted}\n`);
  const failure = installPackages(missing, (text) => process.stderr.write(`${text}\n`));
  return failure === undefined ? undefined : `needs the Debian packages ${wanted}: ${failure}`;
}
