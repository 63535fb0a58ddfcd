/**
 * Goal: nothing that people did on the old server stays behind unseen: what cannot come along stops a switchover before anybody is moved, or is told. Method:
 * real servers, the command as operators run it, changes at the moments that a move could miss.
 */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import test from 'node:test';
import { connectImap } from '../lab/imap-check.ts';
import { assertSame, deliver, messageOf, missing, PAIR, type Printed, until, World } from './pair-world.ts';

const skip = missing;

const stepOf = (plan: Printed, name: string) =>
  plan.steps.find((step: Printed) => step.name === name && step.direction === 'forward');
const redOf = (text: string) =>
  JSON.parse(text).error.details.findings.flatMap((finding: Printed) =>
    finding.state === 'red' ? [finding.id] : [],
  );

/** One change of each kind: what a late look could not make good. */
async function workOn(world: World, account: string): Promise<void> {
  const client = await connectImap(world.login(world.live, account));
  await client.mailboxOpen('INBOX');
  await client.messageDelete('1:2');
  await client.messageFlagsAdd('1:3', ['\\Flagged']);
  await client.append('INBOX', messageOf(`late-${account}`));
  await client.mailboxCreate('Later');
  await client.messageMove('4', 'Later');
  await client.mailboxSubscribe('Later');
  await client.logout();
}

test('without a service, somebody at work: everybody is looked at, and nobody seems gone', {
  skip,
}, async (t) => {
  const world = await World.start(t, { directory: false });
  await world.shadow();
  const [account = ''] = world.accounts;
  const client = await connectImap(world.login(world.live, account));
  await client.mailboxOpen('INBOX');
  t.after(() => client.close());
  const before = await world.dump(world.live);
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes');
  assertSame(before, await world.dump(world.standby));
  assert.match(stepOf(plan, 'drain').outcome.everybody, /no service follows/);
  assert.match(plan.report.rpo.sentence, /^Nothing/);
  assert.equal(client.usable, false, 'the session has ended');
  const { accounts } = await world.json(0, 'history', 'mail-a');
  assert.deepEqual(
    accounts.map(({ account: name, goneLsn }: Printed) => [name, goneLsn]),
    world.accounts.map((name) => [name, undefined]),
  );
});

for (const point of ['plan.hold.after-intent', 'plan.hold.after-act']) {
  test(`killed at ${point}, gone on with later: what happened meanwhile comes along`, { skip }, async (t) => {
    const world = await World.start(t);
    await world.shadow();
    const killed = await world.begin(['switchover', PAIR, '--yes', '--json'], point).ended;
    assert.equal(killed.signal, 'SIGKILL', killed.stderr);
    const [one = '', two = ''] = world.accounts;
    await workOn(world, one);
    await deliver({ host: world.live.address, port: world.live.lmtpPort }, two, 'delivered-late');
    const before = await world.dump(world.live);
    const { plan } = await world.json(0, 'switchover', PAIR, '--yes');
    assert.equal(plan.state, 'done');
    assertSame(before, await world.dump(world.standby));
  });
}

test('a service that is told of nothing: what short sessions did until people were held comes along, without a look at everybody', {
  skip,
}, async (t) => {
  const world = await World.start(t, {
    warm: true,
    accounts: 4,
    liveLines: ['shadow: { watch: 0, sweep: 1h }'],
  });
  await world.startService();
  await until('the standby is filled', 60_000, async () => {
    const { pairs } = await world.json(0, 'status');
    return pairs[0]?.warm?.phase === 'following' && pairs[0].warm.accountsBehind === 0;
  });
  const moving = world.begin(['switchover', PAIR, '--yes', '--json']).ended;
  let sessions = 0;
  while ((await world.doorMode()) === 'open' || sessions === 0) {
    const account = world.accounts[sessions % world.accounts.length] ?? '';
    sessions += 1;
    try {
      const client = await connectImap(world.login(world.live, account));
      await client.append('INBOX', messageOf(`in-session-${sessions}`));
      await client.mailboxOpen('INBOX');
      await client.messageFlagsAdd('2', [`in-session-${sessions}`]);
      await client.messageDelete('1');
      await client.logout();
    } catch {
      // Its session was ended.
      break;
    }
  }
  const { status, stdout } = await moving;
  assert.equal(status, 0, stdout);
  const { plan } = JSON.parse(stdout);
  assert.equal(stepOf(plan, 'drain').outcome.everybody, undefined, JSON.stringify(stepOf(plan, 'drain')));
  assertSame(await world.dump(world.live), await world.dump(world.standby));
});

test('without a doveadm API of the old server everybody is looked at, and a person is told of sessions', {
  skip,
}, async (t) => {
  const world = await World.start(t, { liveDoveadm: false });
  await world.shadow();
  const before = await world.dump(world.live);
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes');
  assertSame(before, await world.dump(world.standby));
  assert.match(stepOf(plan, 'drain').outcome.everybody, /cannot tell in one answer who has changed/);
  assert.equal(stepOf(plan, 'hold').outcome.sessionsEnded, false);
  const { cleanUp } = plan.report;
  assert.ok(
    cleanUp.some(({ text }: Printed) => /end them by hand/.test(text)),
    JSON.stringify(cleanUp),
  );
});

test('where the directory alone keeps people off the old server, sessions that go on are a reason not to begin', {
  skip,
}, async (t) => {
  const live = {
    extraConfig: 'doveadm_allowed_commands = user,who,mailbox status,mailbox list\n',
  };
  const world = await World.start(t, { door: false, live });
  await world.shadow();
  const refused = await world.run('switchover', PAIR, '--yes', '--json');
  assert.equal(refused.status, 3, refused.stdout);
  assert.deepEqual(redOf(refused.stdout), ['live.sessions']);
  await world.assertBoundTo(world.live);
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes', '--reason', 'nobody is at work');
  assert.equal(plan.state, 'done');
  assert.ok(plan.report.cleanUp.some(({ text }: Printed) => /end them by hand/.test(text)));
});

test('an account that cannot be read stops a switchover before anybody is moved, unless there is a reason', {
  skip,
}, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const [, locked = '', ...others] = world.accounts;
  const store = world.live.storePath(locked);
  await deliver({ host: world.live.address, port: world.live.lmtpPort }, locked, 'never-seen');
  chmodSync(store, 0);
  const stopped = await world.json(1, 'switchover', PAIR, '--yes');
  assert.equal(stopped.plan.state, 'rolled-back');
  const { problem } = stepOf(stopped.plan, 'prepare');
  assert.equal(problem.code, 'TAKEOVER_ACCOUNTS_UNREAD');
  assert.match(problem.message, new RegExp(locked));
  assert.doesNotMatch(problem.message, new RegExp(others.join('|')));
  assert.equal(stepOf(stopped.plan, 'hold').state, 'pending');
  assert.match(stopped.plan.report.rpo.sentence, /nobody was moved/);
  await world.assertBoundTo(world.live);

  const { plan } = await world.json(4, 'switchover', PAIR, '--yes', '--reason', 'that one can wait');
  assert.equal(plan.state, 'done');
  const { rpo } = plan.report;
  assert.match(rpo.sentence, new RegExp(`${locked} could not be read`));
  assert.doesNotMatch(rpo.sentence, /^Nothing/);
  assert.ok(rpo.atMostMs > 0);
});

test('a burst that is held back stops a switchover, unless there is a reason', { skip }, async (t) => {
  const world = await World.start(t, {
    warm: true,
    messages: 30,
    liveLines: ['shadow: { burst: { share: 0.3, least: 10 }, sweep: 1s }'],
  });
  const service = await world.startService();
  const warm = async () => (await world.json(0, 'status')).pairs[0]?.warm;
  await until('it is warm', 60_000, async () => {
    const { phase, accountsBehind, lsn } = (await warm()) ?? {};
    return phase === 'following' && accountsBehind === 0 && lsn > 0;
  });
  const [account = ''] = world.accounts;
  const person = await connectImap(world.login(world.live, account));
  for (let number = 0; number < 30; number += 1) await person.append('INBOX', messageOf(`gone-${number}`));
  await until('all of it is there', 60_000, async () => {
    const { accounts } = await world.json(0, 'history', 'mail-a');
    const { messages } = accounts.find((row: Printed) => row.account === account);
    return messages >= 30 && (await warm())?.accountsBehind === 0;
  });
  await person.mailboxOpen('INBOX');
  await person.messageDelete('1:*');
  await person.logout();
  await until('it is held', 60_000, async () => (await warm())?.phase === 'held');
  const refused = await world.run('switchover', PAIR, '--yes', '--json');
  assert.equal(refused.status, 3, refused.stdout);
  assert.deepEqual(redOf(refused.stdout), ['standby.held']);
  await world.assertBoundTo(world.live);
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes', '--reason', 'it was meant, and can wait');
  assert.match(plan.report.rpo.sentence, new RegExp(`of ${account} what came after a burst`));
  assert.ok(plan.report.rpo.atMostMs > 0);
  await service.terminate();
});

test('a failover ends the sessions of an old server that is there and sick, and tells where it cannot', {
  skip,
}, async (t) => {
  const world = await World.start(t, { door: false });
  await world.shadow();
  const [account = ''] = world.accounts;
  const person = await connectImap(world.login(world.live, account));
  t.after(() => person.close());
  await person.mailboxOpen('INBOX');
  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  assert.equal(stepOf(plan, 'end-sessions').outcome.sessionsEnded, true);
  await until('the session has ended', 20_000, () => !person.usable);
  const back = await world.json(0, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(back.plan.state, 'rolled-back');

  await world.live.kill9();
  const again = await world.json(0, 'failover', PAIR, '--yes');
  assert.equal(stepOf(again.plan, 'end-sessions').outcome.sessionsEnded, false);
  assert.ok(again.plan.report.cleanUp.some(({ text }: Printed) => /end them by hand/.test(text)));
});

test('the old server dies once people are on the new one: the move ends, the new one is protected, and what nobody can know is told', {
  skip,
}, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const before = await world.dump(world.live);
  const killed = await world.begin(['switchover', PAIR, '--yes', '--json'], 'plan.rebind.after-outcome')
    .ended;
  assert.equal(killed.signal, 'SIGKILL', killed.stdout);
  await world.live.kill9();
  const { plan } = await world.json(4, 'switchover', PAIR, '--yes');
  assert.equal(plan.state, 'done');
  assertSame(before, await world.dump(world.standby));
  await world.assertBoundTo(world.standby);
  assert.deepEqual(
    plan.report.problems.map(({ step, account }: Printed) => [step, account]),
    [['sweep', '*']],
  );
  assert.match(plan.report.rpo.sentence, /could not be looked at/);
  assert.equal(stepOf(plan, 'protect').state, 'done');
  const { pairs } = await world.json(0, 'status');
  assert.equal(pairs[0].acting, 'mail-b');

  // When it is back, a look at it tells.
  await world.live.restart();
  const [account = ''] = world.accounts;
  await deliver({ host: world.live.address, port: world.live.lmtpPort }, account, 'only-there');
  await world.json(0, 'shadow', 'mail-a', '--once');
  const shown = await world.json(0, 'plan', 'show', plan.id);
  assert.deepEqual(
    shown.plan.report.lost.map(({ subject }: Printed) => subject),
    ['only-there'],
  );
});

test('mail that reaches the old server after the move comes along, and is told', { skip }, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const killed = await world.begin(['switchover', PAIR, '--yes', '--json'], 'plan.rebind.after-outcome')
    .ended;
  assert.equal(killed.signal, 'SIGKILL', killed.stdout);
  const [account = ''] = world.accounts;
  await deliver({ host: world.live.address, port: world.live.lmtpPort }, account, 'late');
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes');
  assert.equal(stepOf(plan, 'sweep').outcome.messages, 1);
  assert.match(plan.report.rpo.sentence, /1 message reached mail-a after the move, and came to mail-b/);
});

test('a switchover that is gone on with and fails gives people their server back', { skip }, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const killed = await world.begin(['switchover', PAIR, '--yes', '--json'], 'plan.hold.after-outcome').ended;
  assert.equal(killed.signal, 'SIGKILL', killed.stdout);
  assert.equal(await world.doorMode(), 'hold');
  const [locked = ''] = world.accounts;
  const store = world.live.storePath(locked);
  await deliver({ host: world.live.address, port: world.live.lmtpPort }, locked, 'never-seen');
  chmodSync(store, 0);
  const [{ id }] = (await world.json(0, 'plan', 'list')).plans;
  const { plan } = await world.json(1, 'plan', 'resume', id, '--yes');
  assert.equal(plan.state, 'rolled-back');
  assert.equal(stepOf(plan, 'drain').problem.code, 'TAKEOVER_ACCOUNTS_UNREAD');
  const { direction, reason } = plan.runs.at(-1);
  assert.deepEqual(
    [direction, reason],
    ['back', undefined],
    'nobody has given a reason to leave anything behind',
  );
  assert.equal(await world.doorMode(), 'open');
  await world.assertBoundTo(world.live);
});
