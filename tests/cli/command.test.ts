/** Goal: exit statuses, error documents and option places are as published. Method: the command as a process of its own. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../lab/temp.ts';
import { understudy, understudyJson } from './service.ts';

const scriptMissing = spawnSync('script', ['--version']).error ? 'there is no script(1)' : false;

const CONFIG = `dataDir: data
servers:
  mail-a:
    workload: mail
    host: 127.0.0.1
    imap: { port: 1, security: none, masterUser: understudy, masterSecret: "\${file:nowhere}" }
    accounts: { list: [alice] }
  standby:
    workload: mail
    host: 127.0.0.1
    imap: {}
`;

const refused: { args: string[]; status: number; code: string }[] = [
  { args: ['history', 'mail-b'], status: 2, code: 'CONFIG_UNKNOWN_SERVER' },
  { args: ['history'], status: 2, code: 'CLI_USAGE' },
  { args: ['history', 'mail-a', '--acount', 'alice'], status: 2, code: 'CLI_USAGE' },
  { args: ['frobnicate'], status: 2, code: 'CLI_USAGE' },
  { args: ['history', 'mail-a'], status: 3, code: 'CATALOG_VAULT_MISSING' },
  { args: ['shadow', 'mail-a'], status: 2, code: 'API_SHADOW_NEEDS_ONCE' },
  { args: ['shadow', 'mail-a', '--once'], status: 2, code: 'CONFIG_SECRET_MISSING' },
  { args: ['shadow', 'standby', '--once'], status: 2, code: 'CONFIG_NOT_SHADOWED' },
  { args: ['run'], status: 2, code: 'CONFIG_SECRET_MISSING' },
  { args: ['config', 'check'], status: 2, code: 'CONFIG_SECRET_MISSING' },
  { args: ['journal', 'info', 'nowhere'], status: 2, code: 'JOURNAL_NOT_FOUND' },
  { args: ['init', '--server', 'x'], status: 2, code: 'CLI_USAGE' },
  ...['abc', '0', '70000', '1e3'].map((port) => ({
    args: ['init', '--server', 'x', '--host', 'h', '--accounts', 'a', '--port', port],
    status: 2,
    code: 'CLI_USAGE',
  })),
  {
    args: ['init', '--server', 'mail-a', '--host', 'h', '--accounts', 'a'],
    status: 3,
    code: 'CLI_FILE_EXISTS',
  },
  { args: ['status', '--config', 'absent.yaml'], status: 2, code: 'CONFIG_NOT_FOUND' },
  { args: ['--config', 'absent.yaml', 'status'], status: 2, code: 'CONFIG_NOT_FOUND' },
];

test('what is refused is one JSON document with code and remedy, and an exit status by kind', async (t) => {
  const cwd = temporaryDirectory('command', t).path;
  writeFileSync(join(cwd, 'understudy.yaml'), CONFIG);
  for (const { args, status, code } of refused) {
    await t.test(args.join(' '), async () => {
      const result = await understudyJson(cwd, ...args);
      assert.equal(result.output.error.code, code, JSON.stringify(result.output));
      assert.equal(result.status, status);
      assert.notEqual(result.output.error.remedy, '');
    });
  }
});

test('whoever asks a standby for a replica is told whose to name', async (t) => {
  const cwd = temporaryDirectory('command', t).path;
  writeFileSync(
    join(cwd, 'understudy.yaml'),
    `${CONFIG}pairs: { mail: { live: mail-a, standby: standby } }\n`,
  );
  for (const command of ['verify', 'history']) {
    const { status, output } = await understudyJson(cwd, command, 'standby');
    assert.equal(status, 3);
    assert.equal(output.error.code, 'CATALOG_VAULT_MISSING');
    assert.match(output.error.remedy, /understudy verify mail-a --against standby/);
  }
});

test('init names a file that it cannot read or write', async (t) => {
  const cwd = temporaryDirectory('command', t).path;
  mkdirSync(join(cwd, 'folder'));
  writeFileSync(join(cwd, 'file'), '');
  const where = ['--server', 'mail-a', '--host', '127.0.0.1', '--accounts', 'alice'];
  for (const [file, code] of [
    ['folder', 'CONFIG_NOT_READABLE'],
    ['absent/u.yaml', 'CLI_FILE_UNWRITABLE'],
    ['file/u.yaml', 'CONFIG_NOT_READABLE'],
  ] as const) {
    const result = await understudyJson(cwd, '--config', file, 'init', ...where);
    assert.deepEqual([result.status, result.output.error.code], [2, code], file);
  }
});

test('a data folder that this user may not look into is said to be one, whatever is asked', async (t) => {
  const cwd = temporaryDirectory('command', t).path;
  writeFileSync(join(cwd, 'understudy.yaml'), CONFIG.replace('{file:nowhere}', '{file:secret}'));
  writeFileSync(join(cwd, 'secret'), 'secret');
  // Root may look into everything; a path that leads through a file is answered in the same way.
  writeFileSync(join(cwd, 'data'), '');
  for (const args of [
    ['status'],
    ['history', 'mail-a'],
    ['journal', 'info', 'mail-a'],
    ['verify', 'mail-a'],
    ['restore', 'mail-a', '--yes'],
    ['shadow', 'mail-a', '--once'],
    ['catalog', 'rebuild', 'mail-a'],
    ['plan', 'list'],
  ]) {
    const { status, output } = await understudyJson(cwd, ...args);
    assert.deepEqual([status, output.error.code], [2, 'API_ACCESS_DENIED'], args.join(' '));
  }
});

test('on a terminal a restore asks first, with --json too', { skip: scriptMissing }, async (t) => {
  const cwd = temporaryDirectory('command', t).path;
  writeFileSync(join(cwd, 'understudy.yaml'), CONFIG);
  for (const more of ['', ' --json']) {
    const shown = await onTerminal(cwd, `restore mail-a${more}`, 'n');
    assert.match(shown, /Restore all mailboxes of all accounts to mail-a/, more);
    assert.match(shown, /CLI_DECLINED/, more);
  }
});

test('errors as text go to stderr, with code and remedy', async (t) => {
  const cwd = temporaryDirectory('command', t).path;
  const { status, stdout, stderr } = await understudy(cwd, 'status');
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^error CONFIG_NOT_FOUND: .*\nremedy: .*understudy init/);
});

test('help goes to stdout and is no error', async (t) => {
  const cwd = temporaryDirectory('command', t).path;
  for (const args of [['--help'], ['restore', '--help'], ['journal', 'verify', '--help']]) {
    const { status, stdout, stderr } = await understudy(cwd, ...args);
    assert.deepEqual([status, stderr], [0, ''], args.join(' '));
    assert.match(stdout, /Usage: understudy/);
  }
});

test('init without a terminal writes a file that the next command takes', async (t) => {
  const cwd = temporaryDirectory('command', t).path;
  const where = [
    '--server',
    'mail-a',
    '--host',
    '127.0.0.1',
    '--security',
    'none',
    '--accounts',
    'alice,bob',
  ];
  mkdirSync(join(cwd, 'secrets'));
  writeFileSync(join(cwd, 'secrets', 'master'), 'secret\n');
  const login = ['--master-user', 'm', '--master-secret', `\${file:secrets/master}`];
  assert.equal((await understudy(cwd, 'init', ...where, ...login)).status, 0);
  const check = await understudyJson(cwd, 'config', 'check');
  assert.deepEqual([check.status, check.output.shadowed, check.output.warnings], [0, ['mail-a'], []]);
  const status = await understudyJson(cwd, 'status');
  assert.equal(status.output.servers[0].state, 'no-journal');
});

test('the description of the HTTP interface needs no configuration', async (t) => {
  const { status, output } = await understudyJson(temporaryDirectory('command', t).path, 'openapi');
  assert.deepEqual([status, output.openapi], [0, '3.1.0']);
});

/** What a person sees who runs it and types `answer`. */
async function onTerminal(cwd: string, command: string, answer: string): Promise<string> {
  const main = join(import.meta.dirname, '../../src/main.ts');
  const line = `stty cols 120; ${process.execPath} --disable-warning=ExperimentalWarning ${main} ${command}`;
  const child = spawn('script', ['--quiet', '--command', line, '/dev/null'], { cwd });
  let shown = '';
  let isAnswered = false;
  for await (const text of child.stdout.setEncoding('utf8')) {
    shown += text;
    if (!isAnswered && shown.includes('as of now?')) child.stdin.write(answer);
    isAnswered ||= shown.includes('as of now?');
  }
  return shown;
}
