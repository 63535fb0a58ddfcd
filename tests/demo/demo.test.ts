/**
 * Goal: the demonstration shows what it says, by its own measure and by its exit status, and leaves nothing behind,
 * however it ends. Method: the command as a process of its own; its results; a look at what runs and lies there after.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DisasterResult } from '../../src/demo/disasters/index.ts';
import type { Results } from '../../src/demo/index.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';

const skip =
  process.getuid?.() === 0
    ? (requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'slapd']) ?? false)
    : 'needs root, as the demonstration does';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
const IN_THE_MIDDLE = /Life goes on/;

describe('understudy demo', { skip }, () => {
  it('brings everything back, proves it, and leaves nothing behind', async (t) => {
    const demo = start(t, '--json', '--messages', '300', '--seed', 'test');
    const status = await demo.ended;
    const results: Results = JSON.parse(demo.stdout());
    assert.deepEqual(results.differences, [], demo.told());
    assert.equal(status, 0);
    assert.equal(results.ok, true);

    const { message, mailbox, account } = results.disasters;
    assert.equal(message.lost.messages, 1);
    assert.ok(mailbox.lost.mailboxes === 1 && mailbox.lost.messages > 1);
    assert.ok(account.lost.mailboxes > 5 && account.lost.messages >= 50);
    for (const disaster of [message, mailbox, account]) assertAllBack(disaster);
    for (const { lost, uidsKept } of [mailbox, account]) assert.equal(uidsKept, lost.messages);
    assert.ok(account.newMailKept >= 2);
    assert.match(account.command, /^understudy restore mail-a --account clara --at 20/);

    const { life, certificate, server } = results;
    assert.ok(life.delivered > 20 && life.read > 5, JSON.stringify(life));
    assert.deepEqual(life.brokenPromises, []);
    assert.equal(certificate.equal, true);
    assert.match(certificate.text, /mail-a equals its replica[\s\S]*digest [0-9a-f]{64}/);
    assert.equal(server.messages, 300);

    const { takeOver } = results;
    assert.equal(takeOver.status, 0);
    assert.equal(takeOver.outages.length, 13);
    assert.ok(
      takeOver.outages.every(({ toMs }) => toMs !== undefined),
      'every client goes on',
    );
    assert.equal(takeOver.same, takeOver.messages);
    assert.ok(takeOver.acknowledged > 20 && takeOver.messages >= 300, JSON.stringify(takeOver));

    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what the test looks for
    assert.doesNotMatch(demo.told(), /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    assert.match(demo.told(), /\$ understudy verify mail-a/);
    await demo.assertNothingLeft();
  });

  it('ends clean when it is interrupted in the middle', async (t) => {
    const demo = start(t, '--json', '--messages', '300');
    await demo.says(IN_THE_MIDDLE);
    demo.process.kill('SIGINT');
    assert.equal(await demo.ended, 1);
    assert.equal(JSON.parse(demo.stdout()).error.code, 'API_INTERRUPTED');
    await demo.assertNothingLeft();
  });

  it('takes its servers with it when it is killed', async (t) => {
    const demo = start(t, '--messages', '300');
    await demo.says(IN_THE_MIDDLE);
    assert.ok(processesIn(demo.folder()).length > 3);
    demo.process.kill('SIGKILL');
    await demo.ended;
    await assertNoneRuns(demo.folder());
    rmSync(demo.folder(), { recursive: true });
  });

  it('refuses a number of messages that leaves nothing to lose', async (t) => {
    const demo = start(t, '--json', '--messages', 'few');
    assert.equal(await demo.ended, 2);
    assert.equal(JSON.parse(demo.stdout()).error.code, 'CLI_USAGE');
  });
});

function assertAllBack({ lost, back, uidValidityKept, differences }: DisasterResult): void {
  assert.equal(back.messages, lost.messages);
  assert.equal(uidValidityKept, true);
  assert.deepEqual(differences, []);
}

interface Demo {
  readonly process: ChildProcess;
  /** The exit status; null after a signal. */
  readonly ended: Promise<number | null>;
  stdout(): string;
  /** What is told while it runs, wherever it goes. */
  told(): string;
  /** Where it works, once it has said so. */
  folder(): string;
  says(what: RegExp): Promise<void>;
  assertNothingLeft(): Promise<void>;
}

/** Runs it in a folder that has nothing to do with it. */
function start(t: TestContext, ...args: string[]): Demo {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, 'demo', ...args], {
    cwd: temporaryDirectory('elsewhere', t).path,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (status) => resolve(status)));
  const told = () => (args.includes('--json') ? stderr : stdout);
  const folder = () => /All of it is in (\S+)/.exec(told())?.[1] ?? '';
  return {
    process: child,
    ended,
    stdout: () => stdout,
    told,
    folder,
    async says(what) {
      while (!what.test(told())) {
        assert.equal(child.exitCode, null, `it ended early: ${stdout}${stderr}`);
        await delay(50);
      }
    },
    async assertNothingLeft() {
      assert.notEqual(folder(), '');
      await assertNoneRuns(folder());
      assert.equal(existsSync(folder()), false);
    },
  };
}

/** Nothing of it runs, at the latest a few seconds from now. */
async function assertNoneRuns(folder: string): Promise<void> {
  for (let waited = 0; waited < 15_000 && processesIn(folder).length > 0; waited += 100) await delay(100);
  assert.deepEqual(processesIn(folder), []);
}

/** Processes that work in the folder or name it. */
function processesIn(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const ours = command.includes(folder) || readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
        return ours ? [`${pid} ${command}`] : [];
      } catch (error) {
        // It ended while we looked, or is not ours to look at.
        const { code = '' } = error as NodeJS.ErrnoException;
        if (!['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) throw error;
        return [];
      }
    });
}
