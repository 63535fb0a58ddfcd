/**
 * Goal: `./understudy` runs from anywhere, installs what is missing once, and leaves stdout to the command.
 * Method: a small checkout in a temporary folder, with an old `node` and a recording `npm` first on the PATH.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../lab/temp.ts';

const root = resolve(import.meta.dirname, '../..');

interface Checkout {
  readonly path: string;
  /** What npm was asked for, one line each. */
  npmCalls(): string[];
  launch(args?: readonly string[], options?: LaunchOptions): Promise<Outcome>;
}

interface LaunchOptions {
  program?: string;
  cwd?: string;
  machineNode?: 'old' | 'new';
}

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function checkout(t: { after(cleanUp: () => void): void }): Checkout {
  const { path } = temporaryDirectory('launcher', t);
  const npmLog = join(path, 'npm-calls');
  const stubs = join(path, 'stubs');
  const write = (file: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), text, { mode });
  };
  for (const file of ['understudy', 'scripts/node.sh'])
    cpSync(join(root, file), join(path, 'checkout', file));
  write('checkout/package.json', '{ "type": "module" }');
  write('checkout/package-lock.json', '{}');
  write(
    'checkout/src/main.ts',
    `const args: string[] = process.argv.slice(2);
console.log(JSON.stringify({ args, node: process.versions.node, cwd: process.cwd() }));
process.exitCode = Number(args[0] ?? 0);`,
  );
  write('stubs/node', '#!/bin/sh\necho v18.20.4\n', 0o755);
  write(
    'stubs/npm',
    `#!/bin/bash
echo "$*" >>${npmLog}
echo "npm says something on stdout"
sleep 0.3
if [[ "$1" == install ]]; then
  package="\${*: -5:1}"; package="\${package%@*}"
  mkdir -p "$3/node_modules/$package/bin"
  ln -s ${process.execPath} "$3/node_modules/$package/bin/node"
else
  mkdir -p node_modules && cp package-lock.json node_modules/.package-lock.json
fi
`,
    0o755,
  );
  return {
    path: join(path, 'checkout'),
    npmCalls: () => (existsSync(npmLog) ? readFileSync(npmLog, 'utf8').trim().split('\n') : []),
    launch: (args = [], options = {}) => {
      const machine = options.machineNode === 'new' ? [dirname(process.execPath)] : [];
      const child = spawn(options.program ?? join(path, 'checkout/understudy'), args, {
        cwd: options.cwd ?? path,
        env: {
          PATH: [...machine, stubs, '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
          HOME: path,
        },
      });
      const read = async (stream: AsyncIterable<Buffer>) => {
        let text = '';
        for await (const chunk of stream) text += chunk;
        return text;
      };
      const status = new Promise<number | null>((done, fail) =>
        child.once('close', done).once('error', fail),
      );
      return Promise.all([status, read(child.stdout), read(child.stderr)]).then(([code, stdout, stderr]) => ({
        status: code,
        stdout,
        stderr,
      }));
    },
  };
}

describe('./understudy', () => {
  it('installs Node.js and the libraries once, says so, and keeps stdout for the command', async (t) => {
    const { launch, npmCalls } = checkout(t);
    const first = await launch(['0', 'two words', '']);
    assert.equal(first.status, 0, first.stderr);
    assert.deepEqual(JSON.parse(first.stdout).args, ['0', 'two words', '']);
    assert.match(first.stderr, /installing Node\.js 26 into \.tools/);
    assert.match(first.stderr, /installing the libraries/);
    assert.equal(npmCalls().length, 2);
    assert.match(npmCalls()[0] ?? '', /node-linux-(x64|arm64)@\^26/);

    const second = await launch();
    assert.equal(second.stderr, '');
    assert.equal(npmCalls().length, 2);
  });

  it('installs once when two are started at the same time', async (t) => {
    const { launch, npmCalls } = checkout(t);
    const outcomes = await Promise.all([launch(), launch(), launch()]);
    for (const { status, stderr } of outcomes) assert.equal(status, 0, stderr);
    assert.equal(npmCalls().length, 2);
  });

  it("takes the machine's Node.js where that is new enough", async (t) => {
    const { launch, npmCalls } = checkout(t);
    const { status, stdout } = await launch([], { machineNode: 'new' });
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).node, process.versions.node);
    assert.deepEqual(
      npmCalls().map((call) => call.split(' ')[0]),
      ['ci'],
    );
  });

  it('leaves .tools alone when the machine gets an older Node.js again', async (t) => {
    const { launch, npmCalls } = checkout(t);
    assert.equal((await launch([], { machineNode: 'new' })).status, 0);
    assert.equal((await launch([], { machineNode: 'old' })).status, 0);
    assert.equal((await launch([], { machineNode: 'new' })).status, 0);
    assert.equal(npmCalls().filter((call) => call.startsWith('install')).length, 1);
  });

  it('runs from any folder and through symbolic links, with its own exit status', async (t) => {
    const { path, launch } = checkout(t);
    const elsewhere = temporaryDirectory('elsewhere', t).path;
    symlinkSync(join(path, 'understudy'), join(elsewhere, 'first'));
    symlinkSync('first', join(elsewhere, 'second'));
    const { status, stdout } = await launch(['5'], { program: join(elsewhere, 'second'), cwd: elsewhere });
    assert.equal(status, 5);
    assert.equal(JSON.parse(stdout).cwd, elsewhere);
    assert.equal((await launch(['3'], { program: './understudy', cwd: path })).status, 3);
  });

  it('installs the libraries again when package-lock.json has changed, not when it is only newer', async (t) => {
    const { path, launch, npmCalls } = checkout(t);
    await launch();
    const inAMinute = new Date(Date.now() + 60_000);
    utimesSync(join(path, 'package-lock.json'), inAMinute, inAMinute);
    await launch();
    assert.equal(npmCalls().length, 2);
    writeFileSync(join(path, 'package-lock.json'), '{ "changed": true }');
    utimesSync(join(path, 'package-lock.json'), inAMinute, inAMinute);
    await launch();
    assert.equal(npmCalls().length, 3);
    assert.match(npmCalls()[2] ?? '', /^ci /);
  });

  it('says what to do when npm fails', async (t) => {
    const { path, launch } = checkout(t);
    writeFileSync(join(path, '../stubs/npm'), '#!/bin/sh\necho broken network\nexit 1\n', { mode: 0o755 });
    const { status, stdout, stderr } = await launch();
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /broken network[\s\S]*Node\.js cannot be installed/);
  });

  it('starts no more than a few programs before Node.js', async (t) => {
    const { path, launch } = checkout(t);
    await launch();
    const launcher = readFileSync(join(path, 'understudy'), 'utf8').replace(/^exec .*$/m, 'exec /bin/true');
    writeFileSync(join(path, 'overhead'), launcher, { mode: 0o755 });
    writeFileSync(join(path, 'nothing'), '#!/usr/bin/env bash\nexec /bin/true\n', { mode: 0o755 });
    const env = { PATH: `${join(path, '../stubs')}:/usr/bin:/bin`, HOME: path };
    const timed = (file: string) => {
      const start = performance.now();
      execFileSync(join(path, file), { env });
      return performance.now() - start;
    };
    // In turns, so that the load of the machine is the same for both.
    const ratios = Array.from({ length: 15 }, () => timed('overhead') / timed('nothing')).sort(
      (x, y) => x - y,
    );
    const median = ratios[7] ?? Number.POSITIVE_INFINITY;
    t.diagnostic(`${median.toFixed(1)} times an empty script`);
    assert.ok(median < 15, `median ${median} times an empty script`);
  });
});
