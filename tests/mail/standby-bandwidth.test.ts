/** What is brought to a standby goes no faster than its configuration allows, over all connections together. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bringUp } from '../../src/workloads/mail/standby/index.ts';
import { connectImap } from '../lab/imap-check.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';
import { loginOf, WarmLab } from './warm-support.ts';

const BYTES_PER_SECOND = 256 << 10;
const LARGE = 300 << 10;
const SMALL = 5 << 10;
/** Of both sizes, in each of two accounts. */
const EACH = [LARGE, ...Array.from({ length: 40 }, () => SMALL)];
/** The bucket may give the last second on credit. */
const LEAST_MS = (2 * EACH.reduce((sum, size) => sum + size, 0) * 1_000) / BYTES_PER_SECOND - 1_000;

function mail(size: number): Buffer {
  const line = `${'x'.repeat(78)}\r\n`;
  return Buffer.from(`Subject: ${size} bytes\r\n\r\n${line.repeat(Math.ceil(size / line.length))}`);
}

describe('a standby with a bandwidth', { skip: serversMissing }, () => {
  it('is restored within it', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'mdbox', accounts: 2 });
    for (const account of world.lab.dovecot.accounts) {
      const client = await connectImap(world.lab.login(account));
      for (const size of EACH) await client.append('INBOX', mail(size));
      await client.logout();
    }
    await world.lab.shadow();
    const report = await world.withDeps((deps) => {
      const shadow = { ...deps.config.shadow, bandwidth: BYTES_PER_SECOND };
      return bringUp({ ...deps, config: { ...deps.config, shadow } }, {});
    });
    assert.deepEqual(report.problems, []);
    assert.equal(report.messagesRestored, 2 * EACH.length);
    t.diagnostic(`${report.bytesRestored} bytes in ${Math.round(report.elapsedMs)} ms`);
    assert.ok(report.elapsedMs >= LEAST_MS, `${report.elapsedMs} ms, not ${LEAST_MS}`);
    await world.assertSame();
  });

  it('is kept warm within it', async (t) => {
    const lab = await WarmLab.start(t, {
      accounts: 2,
      standbyLines: [`shadow: { bandwidth: ${BYTES_PER_SECOND >> 10}KiB }`],
    });
    for (const account of lab.live.accounts) {
      const client = await connectImap(loginOf(lab.live, account));
      for (const size of EACH) await client.append('INBOX', mail(size));
      await client.logout();
    }
    await lab.shadow();
    const began = performance.now();
    await lab.warm();
    await lab.caughtUp();
    const tookMs = performance.now() - began;
    t.diagnostic(`filled in ${Math.round(tookMs)} ms`);
    assert.ok(tookMs >= LEAST_MS, `${tookMs} ms, not ${LEAST_MS}`);
    await lab.assertEqual('filled');
  });
});
