/**
 * `npm test [FILTER…] [--node-option…]`: installs the Debian packages that the tests need, runs every `*.test.ts` of
 * `src/` and `tests/` (or those whose path contains a FILTER), and fails when a test left a process or a file behind.
 *
 * All temporary files of the run lie in one folder of its own, and all its processes carry the run's mark in their
 * environment or work in that folder; so what is left is found without touching what others started.
 */
import { spawn } from 'node:child_process';
import { chmodSync, globSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ALL_PACKAGES, requirePackages } from '../tests/lab/packages.ts';

/** Real servers share the machine with the tests: more at once only makes time-outs likelier. */
const concurrency = 2;
const oneTestMsMax = 10 * 60_000;
const allTestsMsMax = 60 * 60_000;

const root = resolve(import.meta.dirname, '..');
const args = process.argv.slice(2);
const nodeOptions = args.filter((arg) => arg.startsWith('-'));
const filters = args.filter((arg) => !arg.startsWith('-'));
const files = globSync(['src/**/*.test.ts', 'tests/**/*.test.ts'], { cwd: root })
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
  .sort();

if (files.length === 0) {
  console.error(`No test file matches ${filters.join(' ')}.`);
  process.exit(2);
}
const reason = requirePackages(ALL_PACKAGES);
if (reason !== undefined) console.error(`Tests that need a server are skipped: ${reason}`);

const folder = mkdtempSync(join(tmpdir(), 'understudy-run-'));
// Servers under test run as users of their own and must be able to enter.
chmodSync(folder, 0o755);
const mark = `UNDERSTUDY_TEST_RUN=${folder}`;

/** CI repeats the same random days and moments, so that its verdict is about the change; elsewhere every run has its own. */
const seed = process.env['CI'] ? { UNDERSTUDY_SEED: '20261' } : {};

/** Buffers that are used again are filled with 0xDD in between, also in the processes that tests start. */
const poison = { UNDERSTUDY_POISON: '1' };

const status = await runTests();
const left = [...(await leftProcesses()), ...readdirSync(folder).map((name) => `file ${name}`)];
rmSync(folder, { recursive: true, force: true });
if (left.length > 0) {
  console.error(`Left behind by the tests (a test must end what it starts and remove what it writes):`);
  for (const what of left) console.error(`  ${what}`);
}
process.exitCode = status !== 0 ? status : left.length > 0 ? 1 : 0;

function runTests(): Promise<number> {
  return new Promise((done, fail) => {
    const runner = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        '--test',
        `--test-concurrency=${concurrency}`,
        `--test-timeout=${oneTestMsMax}`,
        ...nodeOptions,
        ...files,
      ],
      {
        cwd: root,
        stdio: 'inherit',
        env: { ...seed, ...poison, ...process.env, TMPDIR: folder, UNDERSTUDY_TEST_RUN: folder },
      },
    );
    const deadline = setTimeout(() => {
      console.error(`The tests did not end within ${allTestsMsMax / 60_000} minutes.`);
      runner.kill('SIGTERM');
    }, allTestsMsMax);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
    runner.once('error', fail);
    runner.once('exit', (code) => {
      clearTimeout(deadline);
      done(code ?? 1);
    });
  });
}

/** Names the processes of this run that still live a moment after it, and ends them. */
async function leftProcesses(): Promise<string[]> {
  const start = performance.now();
  let left = processesOfThisRun();
  while (left.length > 0 && performance.now() - start < 2_000) {
    await delay(50);
    left = processesOfThisRun();
  }
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  return left.map(({ pid, command }) => `process ${pid}: ${command}`);
}

function processesOfThisRun(): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      if (/^State:\s+[ZX]/m.test(readFileSync(`/proc/${name}/status`, 'utf8'))) continue;
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const ours =
        readFileSync(`/proc/${name}/environ`, 'utf8').split('\0').includes(mark) ||
        command.includes(folder) ||
        readlinkSync(`/proc/${name}/cwd`).startsWith(folder) ||
        readlinkSync(`/proc/${name}/root`).startsWith(folder);
      if (ours) found.push({ pid: Number(name), command });
    } catch (error) {
      // It ended while we looked, or belongs to a user whose processes are not ours to see.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ESRCH' && code !== 'EACCES' && code !== 'EPERM') throw error;
    }
  }
  return found;
}
