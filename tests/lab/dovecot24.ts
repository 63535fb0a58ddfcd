/** A real Dovecot 2.4, as Debian 13 has it, beside the installed 2.3: `startDovecot({ release: dovecot24() })`. */
import { debian13 } from './debian13.ts';
import type { DovecotRelease } from './dovecot.ts';
import { configuration24 } from './dovecot24-configuration.ts';
import { requirePackages } from './packages.ts';

// The machine may be in any zone, and dates are told in it.
const PACKAGES = ['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'tzdata'];

// Debian's 2.3 brings the users of Dovecot's own processes.
const found = requirePackages(['dovecot-core']) ?? debian13(PACKAGES, ['dovecot', '--version']);

/** The reason to skip where it cannot be had, else false: made for the `skip` option of a test. */
export const dovecot24Missing: string | false = typeof found === 'string' ? found : false;

/** `files: false`: its doveadm API may not touch files. Throws where it cannot be had. */
export function dovecot24({ files = true } = {}): DovecotRelease {
  if (typeof found === 'string') throw new Error(found);
  return { configuration: (options) => configuration24({ ...options, files }), command: found.command };
}
