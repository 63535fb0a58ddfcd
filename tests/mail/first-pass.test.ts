/**
 * Goal: what happens to an account while the first pass over its server is under way can be seen and undone from then on. Method: the
 * engine over a real Dovecot, with another account that holds up the pass.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VaultReader } from '../../src/catalog/index.ts';
import { history } from '../../src/history/index.ts';
import { systemClock } from '../../src/lib/index.ts';
import { startShadow } from '../../src/workloads/mail/index.ts';
import { ImapClient } from './imap-client.ts';
import { holdCommitsOf, idsIn, numberedMessage, until } from './service-support.ts';
import { MailLab, serversMissing } from './support.ts';

describe('while the first pass is under way', { skip: serversMissing }, () => {
  it('an account that was looked at can be seen as it was since, by time and by the hints given', async (t) => {
    const lab = await MailLab.start(t, { accounts: 2, serverLines: ['shadow: { sweep: 300ms, watch: 0 }'] });
    const [account = '', slow = ''] = lab.dovecot.accounts;
    const client = await ImapClient.open(lab.dovecot, account);
    lab.after(() => client.close());
    for (const id of ['one', 'two']) assert.ok((await client.append('INBOX', numberedMessage(id))).ok);
    const deps = await lab.deps();
    const { vault } = deps;
    const gate = holdCommitsOf(vault, slow);
    const engine = startShadow(deps);
    lab.after(() => engine.stop());
    lab.after(gate.release);
    const { catalog } = vault;
    await until('it is looked at to its end', 10_000, () => catalog.firstWholeLook(account) !== undefined);
    const before = new Date(systemClock.wallMs()).toISOString();
    await client.select('INBOX');
    assert.ok((await client.expunge('1')).ok);
    await until('the removal is journaled', 10_000, () => idsIn(catalog, account).length === 1);
    assert.equal(engine.status().firstPassDone, false);

    const reader = await VaultReader.open({ dir: lab.vaultDir, clock: systemClock });
    lab.after(() => reader.close());
    const inboxAt = (at: string) => {
      const found = history(reader, { account, mailbox: 'INBOX', at }, { clock: systemClock });
      return found.kind === 'messages' ? found : assert.fail(found.kind);
    };
    assert.equal(inboxAt(before).messages.length, 2);
    const now = inboxAt(`lsn:${vault.committedLsn}`);
    assert.equal(now.messages.length, 1);
    assert.equal(inboxAt(`lsn:${(now.removals[0]?.lsn ?? 0) - 1}`).messages.length, 2);
    assert.throws(() => history(reader, { at: before }, { clock: systemClock }), {
      code: 'CATALOG_AT_BEFORE_FIRST',
    });
  });
});
