/**
 * Goal: bringing a standby up may be killed anywhere; the next one does the rest. Method: for each named point the command is killed
 * there with `kill -9` and given again; at the end an independent client and `verify --against` find no difference.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fillAccount } from './restore-world.ts';
import { STANDBY, StandbyWorld } from './standby-world.ts';
import { SERVER, serversMissing } from './support.ts';
import { run } from './understudy.ts';

const filling = [
  'standby.create.after',
  'standby.identity.after:2',
  'standby.append.before',
  'standby.append.after',
  'standby.append.after:3',
  'standby.fillers.before',
];

const replacing = [
  'standby.keep.before',
  'standby.replace.before',
  'standby.replace.after',
  'standby.append.after',
  'standby.take-away.before',
];

describe('bringing a standby up, killed', { skip: serversMissing }, () => {
  for (const format of ['maildir', 'mdbox'] as const) {
    it(`at each named point is finished by the next one: ${format}`, async (t) => {
      const world = await StandbyWorld.start(t, { format, accounts: filling.length });
      const { accounts } = world.lab.dovecot;
      for (const account of accounts) await fillAccount(world.lab, account);
      await world.lab.shadow();
      await world.lab.closeVault();
      const configFile = world.writeConfig();
      const bringUp = (account: string) => [
        'restore',
        SERVER,
        '--to',
        STANDBY,
        '--account',
        account,
        '--json',
      ];
      for (const [index, point] of filling.entries()) {
        const command = bringUp(accounts[index] as string);
        const killed = await run(configFile, command, { crashAt: point });
        assert.equal(killed.signal, 'SIGKILL', `${point} was not passed: ${killed.stdout}${killed.stderr}`);
        const again = await run(configFile, command);
        assert.equal(again.status, 0, `${point}: ${again.stdout}${again.stderr}`);
      }
      await world.assertSame();

      // What only the standby has, in the place of what is to come: the mailbox is built anew.
      for (const [index, point] of replacing.entries()) {
        const account = accounts[index] as string;
        const stranger = `stranger at ${point}`;
        await world.onStandby(account, (client) =>
          client.append('INBOX', `Subject: ${stranger}\r\n\r\nonly here\r\n`),
        );
        const killed = await run(configFile, bringUp(account), { crashAt: point });
        assert.equal(killed.signal, 'SIGKILL', `${point} was not passed: ${killed.stdout}${killed.stderr}`);
        const again = await run(configFile, bringUp(account));
        assert.equal(again.status, 0, `${point}: ${again.stdout}${again.stderr}`);
        assert.equal(
          await world.countOnStandby(account, stranger),
          1,
          `what only the standby held is there once: ${point}`,
        );
      }
      await world.assertSame();
      const verified = await run(configFile, ['verify', SERVER, '--against', STANDBY, '--json']);
      assert.equal(verified.status, 0, verified.stdout);
      assert.equal(JSON.parse(verified.stdout).equal, true);
    });
  }

  it('is not brought to a server that is shadowed itself', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1 });
    await world.lab.shadow();
    await world.lab.closeVault();
    const ended = await run(world.writeConfig(), ['restore', SERVER, '--to', SERVER]);
    assert.equal(ended.status, 3, ended.stderr);
    assert.match(ended.stderr, /API_TARGET_SERVES/);
  });

  it('is brought to a standby with accounts of its own, but for those that only that one has now', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 2 });
    const [here = '', there = ''] = world.lab.dovecot.accounts;
    for (const account of [here, there]) await fillAccount(world.lab, account);
    const { lsn } = await world.lab.shadow();
    await world.lab.closeVault();
    const configOf = (listed: readonly string[]) => {
      const file = world.writeConfig({
        standby: `accounts: { list: [${there}] }`,
        top: `pairs: { mail: { live: ${SERVER}, standby: ${STANDBY} } }`,
      });
      const text = readFileSync(file, 'utf8');
      const all = JSON.stringify([here, there]);
      writeFileSync(file, text.replace(`list: ${all}`, `list: ${JSON.stringify(listed)}`));
      return file;
    };
    const both = await run(configOf([here, there]), ['restore', SERVER, '--to', STANDBY]);
    assert.equal(both.status, 0, both.stderr);
    await world.assertSame();

    // Since then one account has left the live server.
    const config = configOf([here]);
    assert.equal((await run(config, ['shadow', SERVER, '--once'])).status, 0);
    const past = ['restore', SERVER, '--to', STANDBY, '--at', `lsn:${lsn}`];
    const refused = await run(config, past);
    assert.equal(refused.status, 3, refused.stderr);
    assert.match(refused.stderr, /API_TARGET_SERVES/);
    assert.ok(refused.stderr.includes(`${there} is no account of ${SERVER} any more`), refused.stderr);
    const part = ['restore', SERVER, '--to', STANDBY, '--account', there, '--mailbox', 'INBOX'];
    assert.equal((await run(config, part)).status, 3, 'also as it was last');
    const one = await run(config, [...past, '--account', here]);
    assert.equal(one.status, 0, one.stderr);
  });
});
