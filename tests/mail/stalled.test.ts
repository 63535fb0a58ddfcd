/**
 * Goal: following goes on by itself when what held it up is over, whatever ails single accounts; until then nobody is told that nothing lags. Method: the engine
 * over a real Dovecot that is killed and started again, with accounts that are always refused.
 */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Catalog } from '../../src/catalog/index.ts';
import { shadowOnce, startShadow } from '../../src/workloads/mail/index.ts';
import { startService, understudy, understudyJson } from '../cli/service.ts';
import { ImapClient } from './imap-client.ts';
import { depsNow, holdCommitsOf, idsIn, labBehindProxy, numberedMessage, until } from './service-support.ts';
import { MailLab, serversMissing } from './support.ts';

describe('an outage', { skip: serversMissing }, () => {
  it('ends for all accounts though one of them is always refused', async (t) => {
    const lab = await MailLab.start(t, {
      accounts: 4,
      listed: ['a-stranger', 'user0001', 'user0002', 'user0003', 'user0004'],
      serverLines: ['shadow: { sweep: 300ms, watch: 0 }'],
    });
    const engine = startShadow(await lab.deps());
    lab.after(() => engine.stop());
    await until('the first pass is over', 20_000, () => engine.status().firstPassDone);
    assert.deepEqual(
      engine.status().problems.map(({ account }) => account),
      ['a-stranger'],
    );
    await lab.dovecot.kill9();
    await until('it is noticed', 10_000, () => engine.status().phase === 'stalled');
    await lab.dovecot.restart();
    await until('following goes on', 20_000, () => engine.status().phase === 'following');
    const client = await ImapClient.open(lab.dovecot, 'user0004');
    assert.ok((await client.append('INBOX', numberedMessage('after'))).ok);
    await client.close();
    const { catalog } = await lab.vault();
    await until('mail is followed', 10_000, () => idsIn(catalog, 'user0004').includes('after'));
  });

  it('is none where accounts are refused for now at their log-in: the server was reached', async (t) => {
    const strangers = ['stranger1', 'stranger2', 'stranger3', 'stranger4'];
    const { lab, proxy, script } = await labBehindProxy(t, {
      accounts: 2,
      listed: [...strangers, 'user0001', 'user0002'],
      serverLines: ['shadow: { sweep: 300ms, watch: 0, connections: 1 }'],
    });
    script.rewrites.push({
      from: 'NO [AUTHORIZATIONFAILED] ',
      to: 'NO [UNAVAILABLE] for now ',
    });
    assert.deepEqual(
      (await shadowOnce(await lab.deps())).problems.map(({ account, code }) => [account, code]),
      strangers.map((account) => [account, 'MAIL_UNAVAILABLE']),
    );
    assert.equal(proxy.struck, strangers.length);
  });

  it('that is over before a pass is leaves no account out of what counts as one', async (t) => {
    const { lab, script } = await labBehindProxy(t, {
      accounts: 6,
      serverLines: ['shadow: { sweep: 1h, watch: 0, keepWarm: 0, connections: 4 }'],
    });
    const { accounts } = lab.dovecot;
    const deps = await lab.deps();
    const gate = holdCommitsOf(deps.vault, accounts[0] as string);
    // The first account holds its connection all the time, nobody else gets one.
    for (let connection = 1; connection < 50; connection += 1)
      script.faults.push({ connection, what: 'end', afterBytes: 0 });
    const engine = startShadow(deps);
    lab.after(() => engine.stop());
    lab.after(gate.release);
    const first = engine.pass({});
    await until('it is noticed', 10_000, () => engine.status().phase === 'stalled');
    script.faults.length = 0;
    await until('it is over', 10_000, () => engine.status().phase === 'baseline');
    gate.release();
    await until('a pass is over', 20_000, () => engine.status().firstPassDone);
    const { catalog } = deps.vault;
    // Those that failed may still have their pause: then they are told.
    const told = (await first).problems.map(({ account }) => account);
    const whole = new Set([...catalog.accountNames(catalog.firstWholeCheckpoint()?.lsn), ...told]);
    assert.deepEqual([...whole].sort(), accounts);
    assert.equal(engine.status().problem, undefined);
  });

  for (const what of ['bye', 'end'] as const) {
    it(`is one too where connections are taken and ended at once: ${what}`, async (t) => {
      const { lab, script } = await labBehindProxy(t, {
        accounts: 4,
        serverLines: ['shadow: { sweep: 300ms, watch: 0, keepWarm: 0 }'],
      });
      const engine = startShadow(await lab.deps());
      lab.after(() => engine.stop());
      await until('the first pass is over', 20_000, () => engine.status().firstPassDone);
      script.faults.push({ what, afterBytes: 0 });
      await until('it is noticed', 10_000, () => engine.status().phase === 'stalled');
      script.faults.length = 0;
      await until('following goes on', 20_000, () => engine.status().phase === 'following');
    });
  }
});

describe('the lag during an outage', { skip: serversMissing }, () => {
  it('grows from the last whole pass on, and is small again after it', async (t) => {
    const lab = await MailLab.start(t, { accounts: 2, serverLines: ['shadow: { sweep: 300ms, watch: 0 }'] });
    const engine = startShadow(await lab.deps());
    lab.after(() => engine.stop());
    await until('the first pass is over', 20_000, () => engine.status().firstPassDone);
    assert.equal(engine.metrics().stalled, false);
    await lab.dovecot.kill9();
    await until('it is noticed', 10_000, () => engine.metrics().stalled);
    const began = performance.now();
    const { lagMs: first = 0, uncommittedMs, lastPassAt = 0 } = engine.status();
    assert.ok(Math.abs(Date.now() - lastPassAt - first) < 500, `${first} ms, last pass at ${lastPassAt}`);
    assert.equal(uncommittedMs, 0, 'no change is known of');
    await delay(700);
    const grown = (engine.metrics().lagMs ?? 0) - first;
    assert.ok(grown > 500 && grown < performance.now() - began + 500, `grown by ${grown} ms`);
    await lab.dovecot.restart();
    await until('following goes on', 20_000, () => !engine.metrics().stalled);
    await until('nothing is behind', 10_000, () => engine.status().lagMs === 0);
  });

  it('is not known to a service that never reached the server, which says so and keeps what is known', async (t) => {
    const lab = await MailLab.start(t, {
      accounts: 2,
      lines: ['api: { listen: "127.0.0.1:0" }'],
      serverLines: ['shadow: { sweep: 300ms }'],
    });
    const { messagesAdded } = await lab.shadow();
    await lab.closeVault();
    await lab.dovecot.kill9();
    const folder = dirname(lab.configFile);
    const service = await startService(folder);
    lab.after(async () => {
      service.process.kill('SIGTERM');
      await service.ended;
    });
    const status = async () => (await understudyJson(folder, 'status')).output.servers[0];
    const server = await until('it is noticed', 20_000, async () => {
      const now = await status();
      return now.state === 'stalled' && now;
    });
    assert.equal(server.lagMs, undefined);
    assert.deepEqual([server.accounts, server.messages], [2, messagesAdded]);
    assert.match((await understudy(folder, 'status')).stdout, /^mail-a +stalled +- +2 /m);
    const text = await (await fetch(`${service.url}/metrics`)).text();
    assert.match(text, /^understudy_stalled\{server="mail-a"\} 1$/m);
    assert.doesNotMatch(text, /^understudy_lag_seconds\{/m);
  });

  it('is not known where no source has said yet which accounts there are', async (t) => {
    const lab = await MailLab.start(t, { accounts: 1, serverLines: ['shadow: { sweep: 300ms, watch: 0 }'] });
    const deps = await lab.deps();
    const engine = startShadow({
      ...deps,
      config: { ...deps.config, accounts: { ...deps.config.accounts, from: 'directory' } as never },
      directory: { listAccounts: () => Promise.reject(new Error('the directory is down')) },
    });
    lab.after(() => engine.stop());
    await until('it is said', 10_000, () => engine.status().problem);
    const { phase, lagMs, accounts } = engine.status();
    assert.deepEqual([phase, lagMs, accounts], ['stalled', undefined, undefined]);
  });
});

describe('following', { skip: serversMissing }, () => {
  it('of the others goes on while one account holds up the pass', async (t) => {
    const lab = await MailLab.start(t, { accounts: 2, serverLines: ['shadow: { sweep: 300ms, watch: 0 }'] });
    const [first = '', second = ''] = lab.dovecot.accounts;
    const deps = await lab.deps();
    const { vault } = deps;
    const gate = holdCommitsOf(vault, second);
    const engine = startShadow(deps);
    lab.after(() => engine.stop());
    lab.after(gate.release);
    const inbox = () => vault.catalog.mailboxByName(first, 'INBOX');
    await until('the first account was looked at', 10_000, () => inbox()?.complete);
    const client = await ImapClient.open(lab.dovecot, first);
    assert.ok((await client.append('INBOX', numberedMessage('meanwhile'))).ok);
    await client.close();
    await until('its mail is followed', 5_000, () => idsIn(vault.catalog, first).includes('meanwhile'));
    assert.equal(engine.status().firstPassDone, false);
  });

  it('of an account goes on when the server falls silent at one of its messages', async (t) => {
    const { lab, script } = await labBehindProxy(t, {
      accounts: 2,
      timeout: '500ms',
      serverLines: ['shadow: { sweep: 300ms, watch: 0, keepWarm: 0 }'],
    });
    const [account = ''] = lab.dovecot.accounts;
    const client = await ImapClient.open(lab.dovecot, account);
    for (const id of ['before', 'hang-here', 'after']) {
      assert.ok((await client.append('INBOX', numberedMessage(id))).ok);
    }
    await client.close();
    script.faults.push({ atText: 'Subject: hang-here', what: 'half-open' });
    const engine = startShadow(await depsNow(lab));
    lab.after(() => engine.stop());
    const { catalog } = await lab.vault();
    await until('the others are there', 20_000, () => idsIn(catalog, account).length === 2);
    assert.deepEqual(
      catalog.setAside().map(({ uid, code }) => [uid, code]),
      [[2, 'MAIL_NO_ANSWER']],
    );
    await until('the account is well again', 10_000, () => engine.status().accountsSetAside === 0);
  });

  it('goes on with the accounts known when their source is down, and says so', async (t) => {
    const lab = await MailLab.start(t, { accounts: 2, serverLines: ['shadow: { sweep: 300ms, watch: 0 }'] });
    const [account = ''] = lab.dovecot.accounts;
    assert.deepEqual((await shadowOnce(await lab.deps())).problems, []);
    const deps = await lab.deps();
    const engine = startShadow({
      ...deps,
      config: { ...deps.config, accounts: { ...deps.config.accounts, from: 'directory' } as never },
      directory: { listAccounts: () => Promise.reject(new Error('the directory is down')) },
    });
    lab.after(() => engine.stop());
    const client = await ImapClient.open(lab.dovecot, account);
    lab.after(() => client.close());
    assert.ok((await client.append('INBOX', numberedMessage('swept'))).ok);
    const { catalog } = await lab.vault();
    await until('it is swept', 10_000, () => idsIn(catalog, account).includes('swept'));
    await until('it is said', 5_000, () =>
      engine.status().problem?.message.includes('the directory is down'),
    );
    assert.deepEqual(await engine.push({ user: account, changes: [] }), { committed: true });
    assert.equal(catalog.accounts().length, 2, 'nobody is gone');
  });

  it('is there for an account from the moment that it is named, also while a pass is at work, and while the source is down', async (t) => {
    const lab = await MailLab.start(t, { accounts: 3, serverLines: ['shadow: { sweep: 300ms, watch: 0 }'] });
    const [first = '', slow = '', late = ''] = lab.dovecot.accounts;
    const stranger = 'a-stranger';
    let names: readonly string[] | undefined = [stranger, first, slow];
    const deps = await lab.deps();
    const gate = holdCommitsOf(deps.vault, slow);
    const engine = startShadow({
      ...deps,
      config: { ...deps.config, accounts: { ...deps.config.accounts, from: 'directory' } as never },
      directory: { listAccounts: async () => names ?? Promise.reject(new Error('the directory is down')) },
    });
    lab.after(() => engine.stop());
    lab.after(gate.release);
    const pushed = (user: string) =>
      engine.push({ user, changes: [] }).then(
        () => 'followed',
        (error: { code: string }) => error.code,
      );
    assert.equal(await pushed(late), 'MAIL_ACCOUNT_NOT_FOLLOWED');
    names = [...names, late];
    await until('it is followed', 5_000, async () => (await pushed(late)) === 'followed');
    assert.equal(engine.status().firstPassDone, false);
    const refusal = await pushed(stranger);
    assert.notEqual(refusal, 'MAIL_ACCOUNT_NOT_FOLLOWED');
    names = undefined;
    gate.release();
    await until('it is said', 10_000, () =>
      engine.status().problem?.message.includes('the directory is down'),
    );
    assert.deepEqual([await pushed(stranger), await pushed(late)], [refusal, 'followed']);
  });

  it('outlives a catalog that cannot be read for a moment beside a pass', async (t) => {
    const lab = await MailLab.start(t, { accounts: 2, serverLines: ['shadow: { sweep: 300ms, watch: 1 }'] });
    const [first = '', second = ''] = lab.dovecot.accounts;
    const deps = await lab.deps();
    const { catalog } = deps.vault;
    const gate = holdCommitsOf(deps.vault, second);
    const engine = startShadow(deps);
    lab.after(() => engine.stop());
    lab.after(gate.release);
    await until(
      'the first account was looked at',
      10_000,
      () => catalog.mailboxByName(first, 'INBOX')?.complete,
    );
    let failures = 0;
    const fail = () => {
      failures += 1;
      throw new Error('the catalog cannot be read');
    };
    Object.assign(catalog, { accounts: fail, accountNames: fail });
    await until('it is not read', 5_000, () => failures > 0);
    Object.assign(catalog, {
      accounts: Catalog.prototype.accounts,
      accountNames: Catalog.prototype.accountNames,
    });
    const client = await ImapClient.open(lab.dovecot, first);
    assert.ok((await client.append('INBOX', numberedMessage('later'))).ok);
    await client.close();
    await until('mail is followed', 5_000, () => idsIn(catalog, first).includes('later'));
  });
});
