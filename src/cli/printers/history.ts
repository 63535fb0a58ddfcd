import type { Outputs } from '../../api/index.ts';
import { bytes, number, table } from '../../lib/index.ts';

type History = Outputs['history'];
type Message = NonNullable<History['messages']>[number];

export function printHistory(output: History): string {
  const at =
    output.at === undefined ? 'nothing is journaled yet' : `as of ${output.at.time} (lsn:${output.at.lsn})`;
  return [
    `${output.server}, ${at}\n`,
    output.accounts === undefined ? '' : accounts(output.accounts),
    output.mailboxes === undefined ? '' : mailboxes(output.mailboxes),
    output.mailbox === undefined ? '' : mailboxes([output.mailbox]),
    output.messages === undefined ? '' : messages(output.messages),
    output.hits === undefined ? '' : hits(output.hits),
    setAside(output),
    removals(output),
    output.next === undefined ? '' : `more: --after ${output.next}\n`,
  ].join('');
}

function accounts(rows: NonNullable<History['accounts']>): string {
  return table(
    ['account', 'mailboxes', 'messages', 'size', ''],
    rows.map((row) => [
      row.account,
      number(row.mailboxes),
      number(row.messages),
      bytes(row.bytes),
      row.goneLsn === undefined ? '' : `gone at lsn:${row.goneLsn}`,
    ]),
    [1, 2, 3],
  );
}

function mailboxes(rows: NonNullable<History['mailboxes']>): string {
  return table(
    ['mailbox', 'messages', 'size', 'UIDVALIDITY', 'UIDNEXT', ''],
    rows.map((row) => [
      row.name,
      number(row.messages),
      bytes(row.bytes),
      String(row.uidValidity),
      String(row.uidNext),
      [
        ...row.specialUse,
        ...(row.subscribed ? ['subscribed'] : []),
        ...(row.complete ? [] : ['incomplete']),
      ].join(' '),
    ]),
    [1, 2, 3, 4],
  );
}

function messages(rows: readonly Message[]): string {
  return table(['UID', 'date', 'size', 'flags', 'from', 'subject'], rows.map(cells), [0, 2]);
}

function hits(rows: NonNullable<History['hits']>): string {
  return table(
    ['account', 'mailbox', 'UID', 'date', 'size', 'flags', 'from', 'subject'],
    rows.map((row) => [row.account, row.mailbox, ...cells(row)]),
    [2, 4],
  );
}

function cells(row: Message): string[] {
  return [
    String(row.uid),
    row.date,
    bytes(row.size),
    row.flags.join(' '),
    short(row.from, 32),
    short(row.subject, 60),
  ];
}

function removals(output: History): string {
  if (output.removals === undefined || output.removals.length === 0) return '';
  const rows = output.removals.map((row) => [
    row.time,
    row.mailbox,
    number(row.count),
    row.mailboxGone ? 'with its mailbox' : '',
    `--at lsn:${row.lsn - 1}`,
  ]);
  return `removed lately (see them as they were with):\n${table(['when', 'mailbox', 'messages', '', ''], rows, [2])}`;
}

function setAside(output: History): string {
  if (output.setAside === undefined || output.setAside.length === 0) return '';
  const rows = output.setAside.map((row) => [row.mailbox, String(row.uid), row.code, row.detail]);
  return `set aside (the server does not serve them rightly):\n${table(['mailbox', 'UID', 'code', ''], rows, [1])}`;
}

function short(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
