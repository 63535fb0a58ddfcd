/** Goal: what is typed becomes the operation's input, and what cannot be is refused with exit status 2 and the argument's name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { operationNamed } from '../api/index.ts';
import { addArguments, inputFrom } from './arguments.ts';

async function parse(name: string, argv: readonly string[]): Promise<unknown> {
  const operation = await operationNamed(name);
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  addArguments(command, operation);
  command.parse([...argv], { from: 'user' });
  return inputFrom(operation, command.args, command.opts());
}

const typed: { name: string; argv: string[]; input: object }[] = [
  { name: 'shadow', argv: ['mail-a', '--once'], input: { server: 'mail-a', once: true } },
  { name: 'shadow', argv: ['--once', 'mail-a'], input: { server: 'mail-a', once: true } },
  {
    name: 'restore',
    argv: [
      'mail-a',
      '--account',
      'alice',
      '--mailbox',
      'INBOX',
      '--uid',
      '1:3,7',
      '--at',
      '-2h',
      '--dry-run',
    ],
    input: {
      server: 'mail-a',
      account: 'alice',
      mailbox: 'INBOX',
      uid: '1:3,7',
      at: '-2h',
      dryRun: true,
      checkBodies: false,
    },
  },
  {
    name: 'restore',
    argv: ['m', '--at=-2h'],
    input: { server: 'm', at: '-2h', dryRun: false, checkBodies: false },
  },
  {
    name: 'history',
    argv: ['m', '--search', '-x', '--limit', '7'],
    input: { server: 'm', search: '-x', limit: 7 },
  },
  { name: 'history', argv: ['m', '--account', '1001'], input: { server: 'm', account: '1001', limit: 50 } },
  { name: 'verify', argv: ['m', '--sample', '100'], input: { server: 'm', sample: 100 } },
  { name: 'journal info', argv: ['/data/m'], input: { dir: '/data/m' } },
];
for (const { name, argv, input } of typed) {
  test(`${name} ${argv.join(' ')}`, async () => {
    assert.deepEqual(await parse(name, argv), input);
  });
}

const refused: { name: string; argv: string[]; says: RegExp }[] = [
  { name: 'restore', argv: ['m', '--mailbox', 'INBOX'], says: /^--account: is needed with mailbox/ },
  { name: 'restore', argv: ['m', '--account', 'a', '--uid', '1'], says: /^--mailbox: is needed with uid/ },
  {
    name: 'restore',
    argv: ['m', '--account', 'a', '--mailbox', 'x', '--uid', '1-3'],
    says: /^--uid: is a UID set/,
  },
  { name: 'history', argv: ['m', '--limit', 'many'], says: /^--limit: / },
  { name: 'history', argv: ['m', '--limit', '0'], says: /^--limit: / },
  { name: 'export', argv: ['m', '--account', 'a', '--to', 'x', '--format', 'zip'], says: /^--format: / },
];
for (const { name, argv, says } of refused) {
  test(`${name} ${argv.join(' ')} is refused`, async () => {
    await assert.rejects(parse(name, argv), { code: 'CLI_USAGE', message: says, kind: 'usage' });
  });
}
