/** What a person still has to do after a move, as far as the configuration tells. */
import { portOf } from '../../config/index.ts';
import type { PlanRecord } from '../index.ts';
import type { TakeOver } from './context.ts';

export interface CleanUpItem {
  /** `dns`, `mx`, `certificate`, `fence`…; stable, for scripts. */
  readonly what: string;
  /** What to do, in one sentence, with the names. */
  readonly text: string;
}

export function cleanUpList(context: TakeOver, record: PlanRecord): CleanUpItem[] {
  const { move, from, to, rehomes, fences, directory, pair, ports, parameters } = context;
  const items: CleanUpItem[] = [];
  const add = (what: string, text: string) => items.push({ what, text });
  const fronts = pair.rehome.flatMap((entry) => (entry.kind === 'proxy' ? [entry] : []));

  add(
    'old-server',
    `${move.from} (${from.host}) is fenced${fences.length === 0 ? ' by the front door and the directory only' : ''}: keep it so. When it is back, look at it once (understudy shadow ${move.from} --once), and understudy plan show ${move.plan} lists what only it held.`,
  );
  if (parameters.accounts !== undefined) {
    add(
      'front-door',
      `Only ${parameters.accounts.length} accounts have moved: clients reach them where a front end asks the directory; what connects to ${from.host} itself does not.`,
    );
  } else if (fronts.length === 0) {
    add(
      'clients',
      `No built-in front door: whatever names ${from.host} must name ${to.host} now (autoconfig, webmail, clients).`,
    );
  } else {
    const listens = fronts.map(({ listen, to: service }) => `${listen.host}:${listen.port} (${service})`);
    add(
      'clients',
      `Clients at ${listens.join(', ')} have followed; those that were told ${from.host} directly must be told a front door, or ${to.host}.`,
    );
  }
  const { lmtp } = from.services;
  const behindDoor = fronts.some((entry) => entry.to === 'lmtp');
  if (!behindDoor) {
    add(
      'mx',
      `Delivery: an MX record, transport or relay that names ${from.host}${lmtp === undefined ? '' : `:${lmtp}`} must name ${to.host}:${portOf(to, 'lmtp')}${directory === undefined ? '' : '; one that asks the directory has followed'}.`,
    );
  }
  add(
    'dns',
    `DNS: A, AAAA and SRV records (_imap, _imaps, _submission, _sieve) that lead to ${from.host} should lead to ${fronts[0]?.listen.host ?? to.host}; SPF and reverse DNS, if ${to.host} sends mail.`,
  );
  add(
    'certificate',
    `TLS: the certificate of ${to.host} must carry the names that clients use, those of ${from.host} among them.`,
  );
  add(
    'quota',
    `Quotas, Sieve scripts, ACLs and shared mailboxes are not carried over yet: compare them on ${to.host}.`,
  );
  add('scripts', `Scripts, backups and monitoring that name ${from.host}: point them to ${to.host}.`);
  for (const one of rehomes.filter(({ kind }) => kind === 'command')) {
    add('command', `Look whether ${one.name} did what it should.`);
  }
  const notes = record.steps.flatMap(({ notes: all }) => all.map(({ text }) => text));
  for (const text of notes.filter((note) => /by hand|a person/i.test(note)).slice(0, 20)) add('note', text);
  if (to.accounts === undefined) {
    add(
      'configuration',
      `${move.to} has no accounts in the configuration; while it acts it has those of ${move.from}. After a commit, swap live and standby of pair ${move.pair}, give ${move.to} the accounts of ${move.from}, and take \`accounts\` from ${move.from}: it would be shadowed as if people worked on it.`,
    );
  }
  if (!ports.following.continuous) {
    add('service', `No service runs: ${move.to} was shadowed once. Start it: understudy run`);
  }
  if (record.state === 'committed') return items;
  add(
    'decide',
    `Until then it can be taken back (understudy plan rollback ${move.plan}); when all is well: understudy plan commit ${move.plan}`,
  );
  return items;
}
