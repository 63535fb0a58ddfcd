/** What to try while the demonstration stays up. */
import { join } from 'node:path';
import type { Dovecot } from './dovecot/index.ts';
import { PAIR, SERVER, STANDBY } from './near-line.ts';
import type { Screen } from './screen.ts';
import type { Stage } from './takeover/index.ts';

export function tellHowToGoOn(
  screen: Screen,
  { folder, dovecot, standby, door, nearLine }: Stage & { folder: string; dovecot: Dovecot },
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
  understudy verify ${STANDBY}
  understudy plan list

  rm -rf ${standby.storePath(last)}
  understudy restore ${STANDBY} --account ${last} --at -1m

The old server is dead. Start it again, and take everything back to it, with what came since:
  dovecot -F -c ${dovecot.configFile} &
  understudy plan rollback ID --yes
Or stay: understudy plan commit ID. The pair is \`${PAIR}\`.

IMAP     ${door.address}:${door.imapPort}, user ${first}, password ${dovecot.accountPassword(first)}; the same for ${dovecot.accounts.slice(1).join(', ')}
LMTP     ${door.address}:${door.lmtpPort}
API      ${nearLine.url}, token in ${join(folder, 'data', 'api-token')}; figures at ${nearLine.url}/metrics
logs     ${join(folder, 'service.log')}, ${join(folder, 'mail-a', 'dovecot.log')}
`;
  for (const line of lines.split('\n')) screen.line(line);
}
