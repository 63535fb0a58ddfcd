/** Goal: a command of the operator keeps the contract of rehoming, and what goes wrong with one is said. Method: real programs. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/index.ts';
import { hasCode, systemClock } from '../../src/lib/index.ts';
import { fencesOf, rehomesOf } from '../../src/rehome/index.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { rehomeContract } from './contract.ts';
import { deps, PAIR, until } from './world.ts';

const folder = temporaryDirectory('hooks');
process.once('exit', folder.remove);
const at = (name: string) => join(folder.path, name);

/** A program of the operator: a shell script. */
function program(name: string, text: string): string {
  writeFileSync(at(name), `#!/bin/sh\n${text}\n`);
  chmodSync(at(name), 0o755);
  return at(name);
}

function configOf(pairLines: string, name = 'understudy') {
  writeFileSync(
    at(`${name}.yaml`),
    `dataDir: data
servers:
  a: { workload: mail, host: 192.0.2.1, imap: {} }
  b: { workload: mail, host: 192.0.2.2, imap: {} }
pairs:
  ${PAIR}: { live: a, standby: b, ${pairLines} }
`,
  );
  return loadConfig(at(`${name}.yaml`));
}

/** "Clients" go where this file says, as they would after a change of DNS. */
const world = at('world');
const move = program(
  'move',
  `printf '%s' "$UNDERSTUDY_TO" > ${world}.$$ && sleep 0.05 && mv ${world}.$$ ${world}
env | grep ^UNDERSTUDY_ | sort > ${at('environment')}`,
);
const isMoved = program('is-moved', `test "$(cat ${world})" = "$UNDERSTUDY_TO"`);
const back = program('back', `printf '%s' "$UNDERSTUDY_FROM" > ${world}`);
const config = configOf(`rehome: [{ kind: command, run: [${move}], isDone: [${isMoved}], undo: [${back}] }]`);
const rehome = () => {
  const [only] = rehomesOf(config, PAIR, { ...deps, plan: 'plan-7' });
  assert.ok(only);
  return only;
};

rehomeContract('a command', () => ({
  rehome,
  leadsTo: async () => readFileSync(world, 'utf8'),
  meddle: async (server) => writeFileSync(world, server),
  childArguments: [config.file, PAIR, '0'],
}));

test('the command is told which move it is, and by which plan', async () => {
  await rehome().run({ mode: 'open', server: 'b' });
  const told = readFileSync(at('environment'), 'utf8').trim().split('\n');
  // What a test run sets for itself (its seed, its folder) is in our own environment, and is inherited.
  const inherited = (line: string) => (line.split('=')[0] as string) in process.env;
  assert.deepEqual(
    told.filter((line) => !inherited(line)),
    [
      'UNDERSTUDY_FROM=a',
      'UNDERSTUDY_FROM_HOST=192.0.2.1',
      'UNDERSTUDY_PAIR=mail',
      'UNDERSTUDY_PLAN=plan-7',
      'UNDERSTUDY_TO=b',
      'UNDERSTUDY_TO_HOST=192.0.2.2',
    ],
  );
});

test('arguments reach the program as they are: no shell is between', async () => {
  const seen = at('arguments');
  const show = program('show', `printf '%s|' "$@" > ${seen}`);
  const [only] = rehomesOf(
    configOf(`rehome: [{ kind: command, run: [${show}, "two words", "$HOME; rm *", "'"] }]`, 'arguments'),
    PAIR,
    deps,
  );
  await only?.run({ mode: 'open', server: 'b' });
  assert.equal(readFileSync(seen, 'utf8'), "two words|$HOME; rm *|'|");
});

test('without commands for them, it is never known to be done, and a person is asked to take it back', async () => {
  const [only] = rehomesOf(configOf('rehome: [{ kind: command, run: [/bin/true] }]', 'bare'), PAIR, deps);
  assert.equal(await only?.isDone({ mode: 'open', server: 'b' }), false);
  assert.equal(await only?.state(), undefined);
  const outcome = await only?.undo({ mode: 'open', server: 'a' });
  assert.match(outcome?.left ?? '', /back from b to a: `\/bin\/true` has no `undo`/);
});

test('a failure is told with the status and the last words of the program', async () => {
  const fails = program('fails', 'echo step one; echo the switch does not answer >&2; exit 7');
  const [only] = rehomesOf(
    configOf(`rehome: [{ kind: command, run: [${fails}], isDone: [${fails}] }]`, 'fails'),
    PAIR,
    deps,
  );
  const works = [
    () => only?.run({ mode: 'open', server: 'b' }),
    () => only?.isDone({ mode: 'open', server: 'b' }),
  ];
  for (const work of works) {
    await assert.rejects(
      async () => work(),
      (error: unknown) => {
        assert.ok(hasCode(error, 'REHOME_HOOK_FAILED'));
        assert.match(error.message, /status 7.*the switch does not answer/s);
        return true;
      },
    );
  }
});

test('one that does not end in time is ended, with what it started', async () => {
  const stays = program(
    'stays',
    `trap '' TERM; (trap '' TERM; sleep 1000) & echo $! > ${at('child')}; echo waiting; wait`,
  );
  const [only] = rehomesOf(
    configOf(`rehome: [{ kind: command, run: [${stays}], timeout: 300ms }]`, 'stays'),
    PAIR,
    deps,
  );
  const start = systemClock.monotonicMs();
  await assert.rejects(only?.run({ mode: 'open', server: 'b' }) ?? Promise.resolve(), (error: unknown) => {
    assert.ok(hasCode(error, 'REHOME_HOOK_TIMEOUT'));
    assert.match(error.message, /0\.3 s.*waiting/s);
    return true;
  });
  assert.ok(systemClock.monotonicMs() - start < 10_000);
  const child = readFileSync(at('child'), 'utf8').trim();
  await until('its child to be gone', () => (isGone(child) ? true : undefined));
});

test('one that leaves something in the background has ended all the same', async () => {
  const forks = program('forks', 'sleep 3 & exit 0');
  const [only] = rehomesOf(configOf(`rehome: [{ kind: command, run: [${forks}] }]`, 'forks'), PAIR, deps);
  const outcome = await only?.run({ mode: 'open', server: 'b' });
  assert.ok((outcome?.elapsedMs ?? 0) < 2_000);
});

test('an absent program is told apart from one that fails', async () => {
  for (const path of [at('absent'), folder.path]) {
    const [only] = rehomesOf(configOf(`rehome: [{ kind: command, run: [${path}] }]`, 'absent'), PAIR, deps);
    await assert.rejects(only?.run({ mode: 'open', server: 'b' }) ?? Promise.resolve(), (error) =>
      hasCode(error, 'REHOME_HOOK_ABSENT'),
    );
  }
});

test('a wait that is given up ends the program', async () => {
  const ending = new AbortController();
  const waits = program('waits', 'exec sleep 1000');
  const [only] = rehomesOf(configOf(`rehome: [{ kind: command, run: [${waits}] }]`, 'waits'), PAIR, {
    ...deps,
    signal: ending.signal,
  });
  const run = only?.run({ mode: 'open', server: 'b' }) ?? Promise.resolve();
  await systemClock.sleep(100);
  ending.abort(new Error('enough'));
  await assert.rejects(run, /enough/);
});

test('fences are commands too: asked, run, taken back', async () => {
  const off = at('off');
  const fenced = configOf(
    `fence: [{ kind: command, run: [${program('off-it', `echo "$UNDERSTUDY_FROM $UNDERSTUDY_FROM_HOST" > ${off}`)}], isDone: [${program('is-off', `test -e ${off}`)}], undo: [${program('on-it', `rm -f ${off}`)}] }, { kind: command, run: [/bin/true] }]`,
    'fenced',
  );
  const [fence, bare] = fencesOf(fenced, PAIR, { ...deps, from: 'a', to: 'b' });
  assert.ok(fence && bare);
  assert.match(fence.name, /^fence 1: .*off-it$/);
  assert.equal(await fence.isDone(), false);
  await fence.run();
  await fence.run();
  assert.equal(readFileSync(off, 'utf8'), 'a 192.0.2.1\n');
  assert.equal(await fence.isDone(), true);
  await fence.undo();
  await fence.undo();
  assert.equal(existsSync(off), false);
  assert.deepEqual([fence.undoable, bare.undoable, await bare.isDone()], [true, false, false]);
  await bare.undo();
});

function isGone(pid: string): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    // No such process.
    return true;
  }
}
