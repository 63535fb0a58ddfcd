/** What the demonstration needs of the machine; what is missing is announced and installed. */
import { haveApt, installPackages, missingPackages } from './dovecot/index.ts';
import { demoErrors } from './errors.ts';

const PACKAGES = ['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'slapd'];

/** Errors: DEMO_NEEDS_ROOT, DEMO_PACKAGES_MISSING. May be repeated. */
export function meetRequirements(say: (text: string) => void): void {
  if (process.getuid?.() !== 0) {
    throw demoErrors.make(
      'DEMO_NEEDS_ROOT',
      'the demo starts a real Dovecot, which needs root to serve several accounts',
    );
  }
  const missing = missingPackages(PACKAGES);
  if (missing.length === 0) return;
  const packages = missing.join(' ');
  if (!haveApt()) {
    throw demoErrors.make(
      'DEMO_PACKAGES_MISSING',
      `the demo needs ${packages}, and this machine has no apt to install them with`,
      { details: { packages: missing } },
    );
  }
  say(`Installing Debian packages: ${packages} (they stay; their own service is not started)`);
  const failure = installPackages(missing, say);
  if (failure !== undefined) {
    throw demoErrors.make('DEMO_PACKAGES_MISSING', `${packages} could not be installed: ${failure}`, {
      remedy: `Install them by hand: apt-get update && apt-get install ${packages}`,
      details: { packages: missing },
    });
  }
}
