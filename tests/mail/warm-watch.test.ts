/**
 * Goal: whether somebody else wrote to a warm standby is told by STATUS of all its mailboxes, and by nothing that is our own doing or that the
 * standby has beside. Method: two real Dovecots, and before the doveadm API of the standby one that keeps its answer.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Log, silentLog } from '../../src/lib/index.ts';
import { startWarm } from '../../src/workloads/mail/warm/index.ts';
import { connectImap } from '../lab/imap-check.ts';
import { serversMissing } from './support.ts';
import { loginOf, until, WarmLab } from './warm-support.ts';

/** Passes everything on to `url`, but keeps answers about all users back until `release`. */
async function keepingStatusBack(url: string) {
  const release = Promise.withResolvers<void>();
  let answered = false;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const { authorization = '' } = request.headers;
    const answer = await fetch(url, {
      method: request.method ?? 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body,
    });
    const text = await answer.text();
    if (body.includes('allUsers')) {
      answered = true;
      await release.promise;
    }
    response.writeHead(answer.status).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/doveadm/v1`,
    answered: () => answered,
    release: release.resolve,
    close: () => {
      release.resolve();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('what somebody else writes to a warm standby', { skip: serversMissing }, () => {
  it('is not what arrives while the standby is being asked', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 2 });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    await client.append('INBOX', message(1));
    await lab.warm();
    await lab.caughtUp();
    await lab.stopWarm();
    await client.mailboxCreate('New');
    await client.append('New', message(2));
    const lsn = await lab.pass();

    const deps = await lab.warmDeps();
    const proxy = await keepingStatusBack(lab.standby.doveadmUrl);
    lab.after(proxy.close);
    const begun = Promise.withResolvers<void>();
    const alarms: string[] = [];
    const log: Log = { ...silentLog, warn: (_: object, text: string) => alarms.push(text) };
    const doveadm =
      deps.config.doveadm === undefined ? {} : { doveadm: { ...deps.config.doveadm, url: proxy.url } };
    const warm = startWarm({
      ...deps,
      log,
      config: { ...deps.config, ...doveadm },
      bringUp: async (...one) => {
        await begun.promise;
        return deps.bringUp(...one);
      },
    });
    lab.after(() => warm.stop());
    await until('the standby has been asked', proxy.answered);
    assert.equal(warm.status().accountsBehind, 1, 'the account is under way');
    begun.resolve();
    await warm.caughtUp(lsn, AbortSignal.timeout(10_000));
    proxy.release();
    await delay(1_000);
    assert.deepEqual(alarms, []);
    assert.equal(warm.metrics().compared, 1, 'it is not compared again');
  });

  it('is found also where the first user of the standby is none of the live server', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 2 });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    await client.append('INBOX', message(1));
    await lab.warm();
    await lab.caughtUp();
    await lab.stopWarm();
    addStranger(lab);
    await until('the standby has one more user', () =>
      lab.standby.doveadm('-f', 'tab', 'mailbox', 'status', '-A', 'messages', 'INBOX').includes('aaa'),
    );
    await assert.rejects(connectImap(loginOf(lab.standby, 'aaa')));
    const other = await connectImap(loginOf(lab.standby, 'user0001'));
    await other.append('INBOX', 'Subject: a stranger\r\n\r\nonly here\r\n');
    await other.logout();
    const warm = await lab.warm();
    await until('the account is compared', () => warm.metrics().compared === 1);
  });
});

/** A first user of the standby's own, as whom nobody can log in from here. */
function addStranger({ standby }: WarmLab): void {
  const file = join(dirname(standby.configFile), 'users');
  const users = readFileSync(file, 'utf8');
  const [, , uid, gid] = (users.split('\n')[0] as string).split(':');
  writeFileSync(file, `aaa:{PLAIN}x:${uid}:${gid}::${standby.home('aaa')}::allow_nets=192.0.2.1\n${users}`);
}

function message(index: number): string {
  return `Subject: message ${index}\r\n\r\nbody of ${index}\r\n`;
}
