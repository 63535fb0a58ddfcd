/** Goal: `status --watch` on a terminal, on a pipe and with `--json`, and its end. Method: the command as a process of its own, on a real pseudo-terminal too. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryDirectory } from '../lab/temp.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

function watching(t: TestContext, options: { terminal?: boolean; args?: string[] } = {}) {
  const folder = temporaryDirectory('watch', t).path;
  const file = join(folder, 'understudy.yaml');
  const server =
    '{ workload: mail, host: 127.0.0.1, imap: { security: none, masterUser: m, masterSecret: s }';
  writeFileSync(
    file,
    `dataDir: data\nservers:\n  mail-a: ${server}, accounts: { list: [ alice ] } }\n  mail-b: ${server} }\npairs:\n  mail: { live: mail-a, standby: mail-b }\n`,
  );
  const command = [process.execPath, MAIN, '--config', file, 'status', '--watch', ...(options.args ?? [])];
  const [program = '', ...args] = options.terminal
    ? [
        'script',
        '--quiet',
        '--return',
        '--command',
        `stty rows 12 cols 100; exec ${command.join(' ')}`,
        '/dev/null',
      ]
    : command;
  // What `script` is given on its stdin goes to the terminal: Ctrl-C as a person types it.
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.resume();
  const ended = new Promise<number | null>((resolve) => child.on('close', (status) => resolve(status)));
  t.after(() => child.kill('SIGKILL'));
  const until = async (what: (text: string) => boolean) => {
    for (let waited = 0; !what(stdout); waited += 50) {
      assert.ok(waited < 20_000, `in time: ${JSON.stringify(stdout)}`);
      await delay(50);
    }
  };
  return { child, ended, until, folder, printed: () => stdout };
}

test('with --json each look is a document on its own line, and Ctrl-C is a good end', async (t) => {
  const { child, ended, until, printed } = watching(t, { args: ['--json'] });
  await until((text) => text.split('\n').length > 3);
  child.kill('SIGINT');
  assert.equal(await ended, 0);
  for (const line of printed().trim().split('\n')) {
    const { servers, pairs } = JSON.parse(line);
    assert.equal(servers[0].state, 'no-journal');
    assert.deepEqual(pairs, [{ pair: 'mail', live: 'mail-a', standby: 'mail-b', acting: 'mail-a' }]);
  }
});

test('on a pipe a block comes when something changes', async (t) => {
  const { child, ended, until, printed, folder } = watching(t);
  const blocks = () => printed().split('site default').length - 1;
  await until(() => blocks() === 1);
  await delay(2_500);
  assert.equal(blocks(), 1);
  // A vault without a journal is damage, and is told.
  mkdirSync(join(folder, 'data', 'mail-a', 'journal'), { recursive: true });
  writeFileSync(join(folder, 'data', 'mail-a', 'journal', '0000000000000001.seg'), 'no segment');
  await until(() => blocks() === 2);
  rmSync(join(folder, 'data', 'mail-a'), { recursive: true });
  await until(() => blocks() === 3);
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
});

test('who closes the pipe ends it', async (t) => {
  const { child, ended, until } = watching(t, { args: ['--json'] });
  await until((text) => text.includes('\n'));
  child.stdout.destroy();
  assert.equal(await ended, 0);
});

test('a terminal has its own screen, which is gone after Ctrl-C', async (t) => {
  const { child, ended, until, printed } = watching(t, { terminal: true });
  await until((text) => text.split('\x1b[H').length > 3);
  child.stdin.write('\x03');
  assert.equal(await ended, 0);
  const text = printed();
  assert.equal(text.split('\x1b[?1049h').length, 2, 'entered once');
  assert.ok(text.trimEnd().endsWith('\x1b[?25h\x1b[?1049l'), JSON.stringify(text.slice(-80)));
  const screens = text.split('\x1b[H').slice(1);
  for (const screen of screens) assert.ok(screen.split('\n').length <= 12);
});
