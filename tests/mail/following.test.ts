/**
 * Goal: the continuous engine follows whatever happens, by whatever wakes it, and ends clean. Method: random days with the
 * engine running: with pushed events or NOTIFY and a slow sweep, and with a quick sweep
 * alone. After each burst of activity the replica must become the server by itself.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readPushedEvent } from '../../src/api/http/pushed-event.ts';
import { type ShadowEngine, startShadow } from '../../src/workloads/mail/index.ts';
import { pushScript } from '../../src/workloads/mail/push/index.ts';
import { ImapClient } from './imap-client.ts';
import { RandomDay } from './random-day.ts';
import { holdCommitsOf, idsIn, numberedMessage, until } from './service-support.ts';
import { MailLab, type MailLabOptions, serversMissing } from './support.ts';

/** `UNDERSTUDY_DAY_ROUNDS` makes the days longer, `UNDERSTUDY_SEED` repeats them. */
const ROUNDS = Number(process.env['UNDERSTUDY_DAY_ROUNDS'] ?? 3);
/** Usually it takes less than a second; a damaged session of Dovecot is used for up to a minute. */
const EQUAL_WITHIN_MS = 90_000;

async function becomesEqual(lab: MailLab, engine: ShadowEngine): Promise<number> {
  const began = performance.now();
  for (;;) {
    try {
      await lab.assertReplicaIsServer();
      return performance.now() - began;
    } catch (error) {
      if (performance.now() - began > EQUAL_WITHIN_MS) throw error;
      assert.deepEqual(engine.status().problem, undefined);
      await delay(100);
    }
  }
}

async function followDay(t: TestContext, lab: MailLab, engine: ShadowEngine): Promise<void> {
  const seed = process.env['UNDERSTUDY_SEED'] ?? String(Math.floor(Math.random() * 1e9));
  t.diagnostic(`UNDERSTUDY_SEED=${seed}`);
  const day = await RandomDay.begin(lab.dovecot, seed, { renameInbox: false });
  lab.after(() => day.end());
  const took: number[] = [];
  try {
    while (!engine.status().firstPassDone) await delay(10);
    for (let round = 0; round < ROUNDS; round += 1) {
      await day.act(20);
      took.push(Math.round(await becomesEqual(lab, engine)));
    }
    const began = performance.now();
    await engine.stop();
    assert.ok(performance.now() - began < 5_000, 'it stops soon');
    await engine.stop();
  } catch (error) {
    t.diagnostic(day.log.slice(-40).join('\n'));
    throw error;
  }
  t.diagnostic(`equal again after ${took.join(', ')} ms`);
}

async function follow(t: TestContext, options: MailLabOptions): Promise<void> {
  const lab = await MailLab.start(t, { accounts: 3, ...options });
  const engine = startShadow(await lab.deps());
  lab.after(() => engine.stop());
  await followDay(t, lab, engine);
}

describe('the engine', { skip: serversMissing }, () => {
  for (const format of ['maildir', 'mdbox'] as const) {
    // Dovecot's NOTIFY falls silent now and then after renames; the sweep is there for that.
    it(`follows by NOTIFY, and what that does not tell by a slow sweep: ${format}`, (t) =>
      follow(t, { format, serverLines: ['shadow: { sweep: 6s, watch: 10 }'] }));
  }

  it('follows by a quick sweep where the server tells nothing', (t) =>
    follow(t, { hideCondstore: true, serverLines: ['shadow: { sweep: 500ms, watch: 0 }'] }));

  it('follows by doveadm’s status alone', (t) =>
    follow(t, { format: 'mdbox', doveadm: true, serverLines: ['shadow: { sweep: 500ms, watch: 0 }'] }));

  it('begins a pass when it is asked for one: what came since the one under way looked is seen', async (t) => {
    const lab = await MailLab.start(t, { accounts: 2, serverLines: ['shadow: { sweep: 1h, watch: 0 }'] });
    const [first = '', second = ''] = lab.dovecot.accounts;
    const client = await ImapClient.open(lab.dovecot, first);
    lab.after(() => client.close());
    const deps = await lab.deps();
    const { vault } = deps;
    const gate = holdCommitsOf(vault, second);
    const engine = startShadow(deps);
    lab.after(() => engine.stop());
    lab.after(gate.release);
    const inbox = () => vault.catalog.mailboxByName(first, 'INBOX');
    await until('the first account was looked at', 30_000, () => inbox()?.complete || undefined);
    assert.ok((await client.append('INBOX', numberedMessage('since'))).ok);
    const pass = engine.pass({});
    assert.equal(engine.status().firstPassDone, false);
    gate.release();
    await pass;
    assert.deepEqual(idsIn(vault.catalog, first), ['since']);
  });

  for (const format of ['maildir', 'mdbox'] as const) {
    it(`follows by pushed events, and what they do not tell by a slow sweep: ${format}`, async (t) => {
      let engine: ShadowEngine | undefined;
      const endpoint = createServer(async (request, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk);
        response.writeHead(204).end();
        const pushed = readPushedEvent(Buffer.concat(chunks));
        if (pushed?.happened) engine?.push(pushed.event).catch(() => {}); // only a hint
      });
      await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
      t.after(() => endpoint.close());
      const url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/push`;
      const lab = await MailLab.start(t, {
        accounts: 3,
        format,
        push: { url, script: pushScript({ url, timeoutMs: 2_000 }) },
        serverLines: ['shadow: { sweep: 6s, watch: 0 }'],
      });
      engine = startShadow(await lab.deps());
      lab.after(() => engine?.stop());
      await followDay(t, lab, engine);
    });
  }
});
