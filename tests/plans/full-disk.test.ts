/**
 * Goal: the disk of the near-line server fills in the middle of a plan: the command says so, nothing is lost, nobody is led to a server that is not
 * bound, and the same command goes on when there is space again. Method: the data folder lies on a tmpfs that a command of the operator fills.
 */
import assert from 'node:assert/strict';
import { chmodSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../src/lib/index.ts';
import { proxyStats } from '../../src/rehome/index.ts';
import { mountSmallDisk, type SmallDisk } from '../mail/small-disk.ts';
import { assertSame, missing, PAIR, World, type WorldOptions } from './pair-world.ts';

const skip = missing;
/** What a full disk may be called, by whoever meets it first. */
const FULL = ['JOURNAL_STORAGE_FULL', 'CATALOG_STORAGE_FAILED', 'CONTROL_STORAGE_FAILED'];

/** Where the operator's command that fills the disk stands among the steps. */
const places: Record<string, (fill: string) => WorldOptions> = {
  'while the old server is fenced': (fill) => ({
    pairLines: [`fence: [{ kind: command, run: [${fill}] }]`],
  }),
  'while clients are moved': (fill) => ({
    door: false,
    pairLines: [`rehome: [{ kind: command, run: [${fill}] }]`],
  }),
};

for (const [place, options] of Object.entries(places)) {
  for (const withService of [false, true]) {
    test(`full ${place}, ${withService ? 'under a service' : 'without one'}`, { skip }, async (t) => {
      await onSmallDisk(t, options, async (world, disk) => {
        await world.shadow();
        const before = await world.dump(world.live);
        if (withService) await world.startService();
        await world.live.kill9();

        await assertStopped(world);
        assert.ok(disk.freeBytes < 1 << 20, 'the disk was filled');
        disk.fill();
        // What has happened can be read, and trying again harms nothing.
        const { plans } = await world.json(0, 'plan', 'list');
        assert.equal(plans.length, 1);
        assert.notEqual(plans[0].state, 'done');
        await assertStopped(world);

        rmSync(join(disk.path, 'filler'));
        const { plan } = await world.json(0, 'failover', PAIR, '--yes');
        assert.deepEqual([plan.id, plan.state], [plans[0].id, 'done']);
        assertSame(before, await world.dump(world.standby));
        await world.assertBoundTo(world.standby);
        assert.equal((await world.json(0, 'journal', 'verify', 'control')).ok, true);
      });
    });
  }
}

/** By the full disk, whoever met it first; and nobody is led astray. */
async function assertStopped(world: World): Promise<void> {
  const { status, stdout, stderr } = await world.run('failover', PAIR, '--yes', '--json');
  assert.ok(status === 1 || status === 3, `${status}: ${stdout}\n${stderr}`);
  const said = JSON.parse(stdout);
  const { code, remedy } = said.error ?? said.plan.problem;
  assert.ok(FULL.includes(code), stdout);
  assert.ok(remedy.length > 0, stdout);
  await assertNeverBoth(world);
}

async function onSmallDisk(
  t: TestContext,
  options: (fill: string) => WorldOptions,
  work: (world: World, disk: SmallDisk) => Promise<void>,
): Promise<void> {
  const disk = mountSmallDisk(t, '48m');
  if (disk === undefined) return;
  try {
    const fill = join(disk.folder, 'fill.sh');
    const once = join(disk.folder, 'filled');
    writeFileSync(
      fill,
      `#!/bin/sh\ntest -e ${once} && exit 0\ntouch ${once}\ncat /dev/zero > ${disk.path}/filler 2>/dev/null\nexit 0\n`,
    );
    chmodSync(fill, 0o755);
    const world = await World.start(t, { messages: 20, ...options(fill) });
    chmodSync(disk.path, 0o700);
    rmdirSync(world.config.dataDir);
    symlinkSync(disk.path, world.config.dataDir);
    try {
      await work(world, disk);
    } finally {
      await world.endProcesses();
    }
  } finally {
    // Fails where a process of ours is left.
    disk.unmount();
    rmSync(disk.folder, { recursive: true });
  }
}

/** The door leads to a server only while no account is bound to the other one, and nobody is bound to two. */
async function assertNeverBoth(world: World): Promise<void> {
  const stats = await proxyStats(world.config, PAIR, { clock: systemClock });
  const bound = new Set(Object.values(await world.mailHosts()).flat());
  assert.ok(bound.size <= 1, [...bound].join(', '));
  if (stats?.state.mode !== 'open') return;
  const other = stats.state.server === 'mail-a' ? world.standby.address : world.live.address;
  assert.ok(!bound.has(other), `the door leads to ${stats.state.server}, ${other} is bound`);
}
