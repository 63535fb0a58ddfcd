import type { Outputs } from '../../api/index.ts';
import { counted, duration, number, table, visible } from '../../lib/index.ts';
import { printProblems } from './problems.ts';

type Server = Outputs['status']['servers'][number];
type Pair = Outputs['status']['pairs'][number];

const ACCOUNTS_SHOWN_MAX = 20;

export function printStatus(output: Outputs['status']): string {
  const header = ['server', 'state', 'lag', 'accounts', 'messages', 'lsn', 'last commit'];
  const rows = output.servers.map((server) => [
    server.server,
    server.state,
    server.lagMs === undefined ? '-' : duration(server.lagMs),
    numberOr(server.accounts),
    numberOr(server.messages),
    numberOr(server.lsn),
    server.committedAt ?? '-',
  ]);
  return [
    `site ${output.site}: ${output.running ? 'the service runs' : 'no service runs'}\n`,
    table(header, rows, [2, 3, 4, 5]),
    ...output.servers.map(remarks),
    ...(output.pairs.length === 0 ? [] : [pairTable(output.pairs), ...output.pairs.map(pairRemarks)]),
  ].join('');
}

function pairTable(pairs: readonly Pair[]): string {
  const rows = pairs.map(({ pair, acting, live, standby, warm, plan }) => [
    pair,
    acting,
    acting === live ? standby : live,
    warm === undefined ? 'cold' : `warm: ${warm.phase}`,
    warm?.lagMs === undefined ? '-' : duration(warm.lagMs),
    numberOr(warm?.accountsBehind),
    plan === undefined ? '-' : `${plan.id} ${plan.kind}: ${plan.state}`,
  ]);
  return table(['pair', 'acts', 'stands by', 'standby', 'lag', 'accounts behind', 'last plan'], rows, [4, 5]);
}

function pairRemarks({ pair, warm, loss, door, problem }: Pair): string {
  const lines: string[] = [];
  if (loss !== undefined) {
    // Ages change all the time, which would be news every second to who watches.
    const sentence = loss.sentence.replace(/ \([^()]* ago\)/, '');
    lines.push(visible(`${pair}: if it failed over now: ${sentence}`), '\n');
  }
  if (door !== undefined) {
    const is = door.server === undefined ? door.mode.replace('-', ' ') : `${door.mode} to ${door.server}`;
    const waiting = door.waiting === 0 ? '' : `, ${number(door.waiting)} waiting`;
    lines.push(
      visible(`${pair}: the front door is ${is}, ${counted(door.clients, 'client')}${waiting}`),
      '\n',
    );
  }
  for (const trouble of [problem, warm?.problem]) {
    if (trouble === undefined) continue;
    const { code, message, remedy } = trouble;
    lines.push(visible(`${pair}: ${code}: ${message}`), '\n', visible(`  remedy: ${remedy}`), '\n');
  }
  for (const { account, removed, of, before } of warm?.held ?? []) {
    lines.push(
      visible(
        `${pair}: ${account} lost ${number(removed)} of ${number(of)} messages at once, which the standby still has; if that is right: understudy standby accept ${pair} --account ${account}; if not, restore it as of ${before}`,
      ),
      '\n',
    );
  }
  const incomplete = warm?.incomplete ?? [];
  if (incomplete.length > 0) {
    const more = incomplete.length - ACCOUNTS_SHOWN_MAX;
    const names = incomplete.slice(0, ACCOUNTS_SHOWN_MAX).join(', ');
    lines.push(
      visible(
        `${pair}: ${counted(incomplete.length, 'account')} not on the standby yet, for the journal does not hold them as a whole: ${names}${more > 0 ? ` and ${more} more (--json lists all)` : ''}`,
      ),
      '\n',
    );
  }
  if (warm !== undefined && warm.problems.length > 0) lines.push(`${pair}: `, printProblems(warm.problems));
  return lines.join('');
}

function remarks(server: Server): string {
  const lines: string[] = [];
  if (server.etaMs !== undefined)
    lines.push(`${server.server}: about ${duration(server.etaMs)} left of the first pass\n`);
  if (server.problem !== undefined) {
    const { code, message, remedy } = server.problem;
    lines.push(visible(`${server.server}: ${code}: ${message}`), '\n', visible(`  remedy: ${remedy}`), '\n');
  }
  if (server.messagesSetAside !== undefined && server.messagesSetAside > 0) {
    lines.push(
      `${server.server}: ${number(server.messagesSetAside)} message(s) set aside: the server does not serve them rightly\n`,
    );
  }
  for (const burst of server.bursts ?? []) {
    lines.push(
      visible(
        `${server.server}: ${burst.account} lost ${number(burst.removed)} of ${number(burst.of)} messages at once; the state just before is ${burst.before}`,
      ),
      '\n',
    );
  }
  if (server.problems.length > 0) lines.push(`${server.server}: `, printProblems(server.problems));
  return lines.join('');
}

function numberOr(value: number | undefined): string {
  return value === undefined ? '-' : number(value);
}
