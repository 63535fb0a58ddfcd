/**
 * Goal: the guides do what they say. Method: the commands of each page in order, against a real Dovecot that has the
 * configuration which the page shows; exit statuses and the output that is shown are compared.
 */
import { test } from 'node:test';
import { requirePackages } from '../lab/packages.ts';
import { runPage } from './run-page.ts';
import { scenarios } from './scenarios.ts';
import { openWorkplace } from './workplace.ts';

const skip = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'openssl', 'curl']) ?? false;

for (const { page, after, standby = false, takeOver = false } of scenarios) {
  test(`the commands of ${page}`, { skip }, async (t) => {
    const workplace = await openWorkplace({ standby, takeOver });
    t.after(() => workplace.stop());
    if (after !== undefined) await runPage(workplace, 'docs/start.md', after);
    await runPage(workplace, page);
  });
}
