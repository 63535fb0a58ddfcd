/**
 * Goal: one account whose UIDs cannot be set costs no other account its own, and one whose UIDs cannot be set just now loses none. Method: a doveadm API that
 * refuses to update the mailboxes of one account, in front of the real one.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it, type TestContext } from 'node:test';
import { type BringUpReport, type BringUpRequest, bringUp } from '../../src/workloads/mail/standby/index.ts';
import { fillDovecot } from '../lab/fill.ts';
import { compareDumps, connectImap, dumpAccount } from '../lab/imap-check.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';

const NO_PERMISSION = 77;
const TRY_LATER = 75;

type Command = readonly [name: string, parameters: { readonly user?: string }, tag: string];

/** Its address; everything but what concerns the mailboxes' numbers of `refused` is passed on. */
async function refusing(t: TestContext, url: string, refused: string, exitCode: number): Promise<string> {
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const commands = JSON.parse(body) as readonly Command[];
    response.setHeader('content-type', 'application/json');
    if (commands.some(([name, { user }]) => name === 'mailboxUpdate' && user === refused)) {
      const error = { type: 'exitCode', exitCode };
      response.end(JSON.stringify(commands.map(([, , tag]) => ['error', error, tag])));
      return;
    }
    const { authorization = '' } = request.headers;
    const headers = { authorization, 'content-type': 'application/json' };
    response.end(await (await fetch(url, { method: 'POST', body, headers })).text());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/doveadm/v1`;
}

function bringUpThrough(
  world: StandbyWorld,
  url: string,
  request: BringUpRequest = {},
): Promise<BringUpReport> {
  return world.withDeps((deps) => {
    const { doveadm } = deps.config;
    assert.ok(doveadm);
    return bringUp({ ...deps, config: { ...deps.config, doveadm: { ...doveadm, url } } }, request);
  });
}

it('an account whose UIDs cannot be set is restored without, and the others keep theirs', {
  skip: serversMissing,
}, async (t) => {
  const world = await StandbyWorld.start(t, { format: 'mdbox', accounts: 3 });
  await fillDovecot(world.lab.dovecot, { messages: 60, seed: 5 });
  // Who got mail last comes first, and asks first.
  const [refused = '', ...others] = world.lab.dovecot.accounts;
  const client = await connectImap(world.lab.login(refused));
  await client.append('INBOX', 'Subject: newest\r\n\r\nnewest\r\n');
  await client.logout();
  await world.lab.shadow();
  const url = await refusing(t, world.standby.doveadmUrl, refused, NO_PERMISSION);
  const report = await bringUpThrough(world, url, { connections: 1 });
  assert.deepEqual(report.problems, []);
  assert.deepEqual([...new Set(report.notKept.map(({ account }) => account))], [refused]);
  for (const account of [refused, ...others]) {
    const live = [...(await dumpAccount(world.lab.login(account)))];
    const wanted = new Map(live.filter(([, { selectable }]) => selectable));
    const options = account === refused ? { ignore: ['uid', 'uidValidity', 'uidNext'] as const } : {};
    assert.deepEqual(compareDumps(wanted, await world.standbyState(account), options), [], account);
  }
});

/** A message more on the live server, with a UID that is not the standby's next. */
async function leaveGap(world: StandbyWorld, account: string): Promise<void> {
  const client = await connectImap(world.lab.login(account));
  for (const subject of ['gone', 'late'])
    await client.append('INBOX', `Subject: ${subject}\r\n\r\n${subject}\r\n`);
  await client.mailboxOpen('INBOX');
  await client.messageDelete('2', { uid: true });
  await client.logout();
}

for (const [what, exitCode] of Object.entries({
  'fails for a moment': TRY_LATER,
  'is not allowed any more': NO_PERMISSION,
})) {
  it(`an account that has its identity keeps it when the doveadm API ${what}`, {
    skip: serversMissing,
  }, async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1 });
    const [account = ''] = world.lab.dovecot.accounts;
    const client = await connectImap(world.lab.login(account));
    await client.append('INBOX', 'Subject: first\r\n\r\nfirst\r\n');
    await client.logout();
    await world.lab.shadow();
    await world.bringUpWell();
    await world.assertSame();
    const before = await world.standbyState(account);

    await leaveGap(world, account);
    await world.lab.shadow();
    const url = await refusing(t, world.standby.doveadmUrl, account, exitCode);
    const report = await bringUpThrough(world, url);
    assert.equal(report.problems.length, 1, JSON.stringify(report));
    assert.deepEqual(await world.standbyState(account), before);

    await world.bringUpWell();
    await world.assertSame();
  });
}

for (const isMailOfItsOwn of [false, true]) {
  const what = isMailOfItsOwn ? 'nothing but mail of its own' : 'nothing that the live server still has';
  it(`an account that holds ${what} keeps its identity when the doveadm API is not allowed any more`, {
    skip: serversMissing,
  }, async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1 });
    const [account = ''] = world.lab.dovecot.accounts;
    const client = await connectImap(world.lab.login(account));
    const append = (subject: string) => client.append('INBOX', `Subject: ${subject}\r\n\r\n${subject}\r\n`);
    for (const subject of ['first', 'second', 'third']) await append(subject);
    await world.lab.shadow();
    await world.bringUpWell();
    await world.assertSame();
    if (isMailOfItsOwn) {
      await world.onStandby(account, async (own) => {
        await own.mailboxOpen('INBOX');
        await own.messageDelete('1:*', { uid: true });
        await own.append('INBOX', 'Subject: misled\r\n\r\nmisled\r\n');
      });
    }
    const before = await world.standbyState(account);

    await append('came and went');
    await client.mailboxOpen('INBOX');
    await client.messageDelete('1:*', { uid: true });
    for (const subject of ['late', 'later']) await append(subject);
    await client.logout();
    await world.lab.shadow();
    const url = await refusing(t, world.standby.doveadmUrl, account, NO_PERMISSION);
    const report = await bringUpThrough(world, url);
    assert.deepEqual(
      report.problems.map(({ code }) => code),
      ['MAIL_FEATURE_MISSING'],
    );
    assert.deepEqual(await world.standbyState(account), before);

    await world.bringUpWell();
    await world.assertSame();
    assert.equal(await world.countOnStandby(account, 'misled'), isMailOfItsOwn ? 1 : 0);
  });
}
