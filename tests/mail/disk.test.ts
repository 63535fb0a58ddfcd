/**
 * Goal: a full disk under the vault stops the shadow with a clear error, costs nothing that was committed, and needs
 * nobody once there is space again. Method: the data folder lies on a tmpfs that is too small for the mail and grows
 * later.
 */
import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startService, understudy, understudyJson } from '../cli/service.ts';
import { fillDovecot } from '../lab/fill.ts';
import { reading, until } from './service-support.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';
import {
  assertBodiesReadable,
  assertEqualStates,
  MailLab,
  replicaState,
  SERVER,
  serversMissing,
} from './support.ts';

const MESSAGES = 400;
const FULL = ['JOURNAL_STORAGE_FULL', 'CATALOG_STORAGE_FAILED'];

interface DiskLab {
  readonly lab: MailLab;
  readonly disk: SmallDisk;
}

/** Mail for some 14 MB, a data folder of `size`; segments are small, so that sealing meets the full disk too. */
async function onSmallDisk(
  t: TestContext,
  size: string,
  work: (parts: DiskLab) => Promise<void>,
): Promise<void> {
  const disk = mountSmallDisk(t, size);
  if (disk === undefined) return;
  let lab: MailLab | undefined;
  try {
    lab = await MailLab.start(t, {
      dataDir: disk.path,
      lines: ['api: { listen: "127.0.0.1:0" }', 'journal: { segmentSize: 1MiB }'],
    });
    copyFileSync(lab.configFile, join(disk.folder, 'understudy.yaml'));
    await fillDovecot(lab.dovecot, { messages: MESSAGES, seed: 'disk' });
    await work({ lab, disk });
  } finally {
    await lab?.closeVault();
    disk.unmount();
    rmSync(disk.folder, { recursive: true });
  }
}

/** What the replica holds now, as another process reads it. */
const heldBy = (lab: MailLab) =>
  reading(lab.vaultDir, ({ catalog }) => ({
    lsn: catalog.appliedLsn,
    state: replicaState(catalog, lab.dovecot.accounts),
    messages: lab.dovecot.accounts.reduce(
      (sum, account) => sum + (catalog.account(account)?.messageCount ?? 0),
      0,
    ),
  }));

describe('a disk that is full', { skip: serversMissing }, () => {
  it('ends `shadow --once` clearly, keeps every commit, and the next one completes', async (t) => {
    await onSmallDisk(t, '5m', async ({ lab, disk }) => {
      const full = await understudyJson(disk.folder, 'shadow', SERVER, '--once');
      assert.equal(full.status, 1);
      assert.ok(FULL.includes(full.output.error.code), JSON.stringify(full.output));
      assert.ok(full.output.error.remedy.length > 0);

      // On the full disk: the journal is whole, and what it holds is served.
      disk.fill();
      const verified = await understudyJson(disk.folder, 'journal', 'verify', SERVER);
      assert.deepEqual([verified.status, verified.output.ok], [0, true], JSON.stringify(verified.output));
      const before = await heldBy(lab);
      assert.ok(before.messages > 0 && before.messages < MESSAGES, `${before.messages} of ${MESSAGES}`);
      const history = await understudyJson(disk.folder, 'history', SERVER);
      assert.equal(history.status, 0, JSON.stringify(history.output));

      // Nothing is lost by trying again without space either.
      const again = await understudyJson(disk.folder, 'shadow', SERVER, '--once');
      assert.equal(again.status, 1);
      assert.ok(FULL.includes(again.output.error.code), JSON.stringify(again.output));
      const still = await heldBy(lab);
      assert.ok(still.lsn >= before.lsn && still.messages >= before.messages);

      disk.resize('64m');
      const completed = await understudyJson(disk.folder, 'shadow', SERVER, '--once');
      assert.deepEqual([completed.status, completed.output.problems], [0, []]);
      assert.equal(
        completed.output.messagesAdded,
        MESSAGES - still.messages,
        'only what was missing is fetched',
      );
      const compared = await understudyJson(disk.folder, 'verify', SERVER);
      assert.deepEqual([compared.status, compared.output.equal], [0, true], JSON.stringify(compared.output));
      const whole = await understudyJson(disk.folder, 'journal', 'verify', SERVER);
      assert.deepEqual([whole.status, whole.output.ok], [0, true]);

      await lab.assertReplicaIsServer();
      const vault = await lab.vault();
      let bodies = 0;
      for (const account of lab.dovecot.accounts) bodies += await assertBodiesReadable(vault, account);
      assert.equal(bodies, MESSAGES);
      // The past of before is the past of now.
      const then = replicaState(vault.catalog, lab.dovecot.accounts, before.lsn);
      // UIDNEXT alone has no past.
      assertEqualStates(before.state, then, 'the past', { ignore: ['uidNext'] });
    });
  });

  it('stops the service from following, says so, and the service goes on by itself', async (t) => {
    await onSmallDisk(t, '5m', async ({ lab, disk }) => {
      const service = await startService(disk.folder);
      const metrics = async () => (await fetch(`${service.url}/metrics`)).text();
      const ready = async () => {
        const response = await fetch(`${service.url}/readyz`);
        const body = (await response.json()) as { servers: [{ state: string; code?: string }] };
        return { status: response.status, server: body.servers[0] };
      };
      try {
        const down = await until('the service says that it is down', 15_000, async () => {
          const now = await ready();
          return now.status === 503 && now;
        });
        assert.equal(down.server.state, 'down');
        assert.ok(FULL.includes(down.server.code ?? ''), JSON.stringify(down));
        assert.equal((await fetch(`${service.url}/healthz`)).status, 200, 'the process is well');
        assert.match(await metrics(), /understudy_vault_open\{server="mail-a"\} 0/);
        // Between two tries; during one it is starting.
        await until('the command says so too', 15_000, async () => {
          const { output } = await understudyJson(disk.folder, 'status');
          return FULL.includes(output.servers[0].problem?.code);
        });

        const tries = async () => Number(/vault_reopens_total\{.*\} (\d+)/.exec(await metrics())?.[1] ?? 0);
        const before = await tries();
        await delay(5_500);
        const more = (await tries()) - before;
        assert.ok(more <= 4, `${more} tries in six seconds: the pauses do not grow`);
        disk.resize('64m');
        await until('the service follows again', 20_000, async () => {
          const now = await ready();
          return now.status === 200 && now.server.state === 'following';
        });
        const compared = await understudyJson(disk.folder, 'verify', SERVER);
        assert.deepEqual(
          [compared.status, compared.output.equal],
          [0, true],
          JSON.stringify(compared.output),
        );
        assert.match(await metrics(), /understudy_vault_open\{server="mail-a"\} 1/);
        assert.match(await metrics(), /understudy_vault_reopens_total\{server="mail-a"\} [1-9]/);
      } finally {
        service.process.kill('SIGTERM');
        const { status, stderr } = await service.ended;
        assert.equal(status, 0, stderr);
      }
      const { status } = await understudy(disk.folder, 'journal', 'verify', SERVER);
      assert.equal(status, 0);
      await lab.assertReplicaIsServer();
    });
  });
});
