/** What to try while the demonstration stays up. */
import { join } from 'node:path';
import type { Dovecot } from './dovecot/index.ts';
import { type NearLine, SERVER } from './near-line.ts';
import type { Screen } from './screen.ts';

export function tellHowToGoOn(
  screen: Screen,
  { folder, dovecot, nearLine }: { folder: string; dovecot: Dovecot; nearLine: NearLine },
): void {
  const [first = ''] = dovecot.accounts;
  const last = dovecot.accounts.at(-1) ?? first;
  const lines = `
Everything stays up until Ctrl-C. In another terminal:

  cd ${folder} && export PATH="$PWD:$PATH"
  understudy status
  understudy history ${SERVER} --account ${first}
  understudy history ${SERVER} --search invoice
  understudy export ${SERVER} --account ${first} --to mail-of-${first} --format eml
  understudy verify ${SERVER}

  rm -rf ${dovecot.storePath(last)}
  understudy restore ${SERVER} --account ${last} --at -1m

IMAP     ${dovecot.address}:${dovecot.imapPort}, user ${first}, password ${dovecot.accountPassword(first)}; the same for ${dovecot.accounts.slice(1).join(', ')}
LMTP     ${dovecot.address}:${dovecot.lmtpPort}
API      ${nearLine.url}, token in ${join(folder, 'data', 'api-token')}; figures at ${nearLine.url}/metrics
logs     ${join(folder, 'service.log')}, ${join(folder, 'mail-a', 'dovecot.log')}
`;
  for (const line of lines.split('\n')) screen.line(line);
}
