/**
 * Goal: a service that is killed anywhere while it keeps a standby warm ends with a standby that is the live server, nothing
 * doubled. Method: the command as an operator runs it, ended as by `kill -9` at each point of an application, and started
 * again; an independent client reads both servers.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectImap } from '../lab/imap-check.ts';
import { serversMissing } from './support.ts';
import { type Running, run, start } from './understudy.ts';
import { LIVE, loginOf, PAIR, STANDBY, until, WarmLab } from './warm-support.ts';

/** Samples of the service's metrics by name with labels; empty while it does not answer. */
async function metricsOf(lab: WarmLab): Promise<Map<string, number>> {
  const note = join(lab.dataDir, 'service.json');
  if (!existsSync(note)) return new Map();
  try {
    const { url } = JSON.parse(readFileSync(note, 'utf8')) as { url: string };
    const text = await (await fetch(`${url}/metrics`)).text();
    const samples = [...text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm)];
    return new Map(samples.map(([, name, value]) => [name as string, Number(value)]));
  } catch {
    // It is starting, or was killed.
    return new Map();
  }
}

async function isEqual(lab: WarmLab): Promise<boolean> {
  const status = (dovecot: WarmLab['live']) =>
    dovecot
      .doveadm('-f', 'tab', 'mailbox', 'status', '-A', 'messages uidnext uidvalidity unseen', '*')
      .split('\n')
      .sort();
  return status(lab.live).join() === status(lab.standby).join();
}

async function begin(lab: WarmLab, options: { crashAt?: string } = {}): Promise<Running> {
  const service = start(lab.configFile, ['run'], options);
  lab.after(() => service.kill9());
  return service;
}

describe('a service that keeps a standby warm', { skip: serversMissing }, () => {
  it('may be killed anywhere: nothing is lost and nothing doubled', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 2, listen: true });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    for (let index = 1; index <= 8; index += 1) await client.append('INBOX', message(index));
    await client.mailboxOpen('INBOX');
    let service = await begin(lab);
    await until('the standby is filled', () => isEqual(lab));
    await service.kill9();

    let next = 9;
    for (const point of [
      'warm.append.before',
      'warm.append.after',
      'warm.flags.before',
      'warm.remove.before',
    ]) {
      service = await begin(lab, { crashAt: point });
      await client.append('INBOX', message(next));
      await client.append('INBOX', message(next + 1));
      await client.messageFlagsAdd(String(next - 2), ['\\Seen', 'Kept'], { uid: true });
      await client.messageDelete(String(next - 7), { uid: true });
      next += 2;
      const { signal } = await service.ended;
      assert.equal(signal, 'SIGKILL', `it ended at ${point}`);
      service = await begin(lab);
      await until(`the standby is equal after ${point}`, () => isEqual(lab));
      await lab.assertEqual(`killed at ${point}`);
      await service.kill9();
    }
  });

  it('tells of its lag and of what is held, and takes the acceptance', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 1, burstLeast: 5, listen: true });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    for (let index = 1; index <= 10; index += 1) await client.append('INBOX', message(index));
    await client.mailboxOpen('INBOX');
    const service = await begin(lab);
    await until('the standby is filled', () => isEqual(lab));
    await until('it says so', async () => {
      const metrics = await metricsOf(lab);
      return (
        metrics.get(`understudy_warm_up{pair="${PAIR}"}`) === 1 &&
        metrics.get(`understudy_warm_lag_seconds{pair="${PAIR}"}`) === 0 &&
        metrics.get(`understudy_warm_held{pair="${PAIR}"}`) === 0
      );
    });

    await client.messageDelete('1:8', { uid: true });
    await until('it is held', async () => {
      const metrics = await metricsOf(lab);
      return metrics.get(`understudy_warm_held{pair="${PAIR}"}`) === 1;
    });
    assert.equal(await isEqual(lab), false);

    const accepted = await run(lab.configFile, ['standby', 'accept', PAIR, '--yes', '--json']);
    assert.equal(accepted.status, 0, accepted.stderr);
    const { accepted: bursts } = JSON.parse(accepted.stdout) as { accepted: Record<string, unknown>[] };
    assert.deepEqual(
      bursts.map(({ account, removed, of }) => [account, removed, of]),
      [['user0001', 8, 10]],
    );
    await until('it is on the standby', () => isEqual(lab));
    await lab.assertEqual('after the acceptance');
    const nothing = await run(lab.configFile, ['standby', 'accept', PAIR, '--yes']);
    assert.match(nothing.stdout, /nothing is held/);
    const ended = await service.terminate();
    assert.equal(ended.status, 0, ended.stderr);
  });

  it('lets it rest while somebody restores it by hand, and goes on', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 2, burstLeast: 5, listen: true });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    const other = await connectImap(loginOf(lab.live, 'user0002'));
    lab.after(() => other.logout());
    for (let index = 1; index <= 10; index += 1) {
      await client.append('INBOX', message(index));
      await other.append('INBOX', message(index));
    }
    await client.mailboxOpen('INBOX');
    await begin(lab);
    await until('the standby is filled', () => isEqual(lab));
    const json = async (status: number, ...args: string[]) => {
      const ended = await run(lab.configFile, [...args, '--yes', '--json']);
      assert.equal(ended.status, status, `${args.join(' ')}: ${ended.stdout} ${ended.stderr}`);
      return JSON.parse(ended.stdout);
    };

    // What the engine cannot know of: a message is gone from the standby.
    const onStandby = await connectImap(loginOf(lab.standby, 'user0002'));
    await onStandby.mailboxOpen('INBOX');
    await onStandby.messageDelete('4', { uid: true });
    await onStandby.logout();
    const restored = await json(0, 'restore', LIVE, '--to', STANDBY);
    assert.ok(restored.messagesRestored > 0);
    await lab.assertEqual('restored by hand');
    await other.append('INBOX', message(11));
    await until('it is kept warm again', () => isEqual(lab));

    // The newest state would be brought there again.
    const refused = await json(3, 'restore', LIVE, '--to', STANDBY, '--at', 'lsn:1');
    assert.equal(refused.error.code, 'API_TARGET_BUSY');

    // What is held does not go by hand either, before somebody has said so.
    await client.messageDelete('1:8', { uid: true });
    await until('it is held', async () => {
      const metrics = await metricsOf(lab);
      return metrics.get(`understudy_warm_held{pair="${PAIR}"}`) === 1;
    });
    const partly = await json(4, 'restore', LIVE, '--to', STANDBY);
    assert.deepEqual(
      partly.problems.map(({ account, code }: { account: string; code: string }) => [account, code]),
      [['user0001', 'API_BURST_HELD']],
    );
    assert.equal(await isEqual(lab), false);
    await lab.assertEqual('the other account', ['user0002']);
    await until('it is held again', async () => {
      const metrics = await metricsOf(lab);
      return metrics.get(`understudy_warm_held{pair="${PAIR}"}`) === 1;
    });
    await json(0, 'standby', 'accept', PAIR);
    await until('it is on the standby', () => isEqual(lab));
  });
});

function message(index: number): string {
  return `Subject: message ${index}\r\n\r\nbody of ${index}\r\n`;
}
