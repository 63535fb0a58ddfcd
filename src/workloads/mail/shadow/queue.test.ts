import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AccountQueue } from './queue.ts';

describe('the queue of accounts', () => {
  it('gives pushed accounts before swept ones, and each account once', () => {
    const queue = new AccountQueue<string>(() => {});
    void queue.mark('swept', 'account', 'soon');
    void queue.mark('pushed', new Set(['INBOX']), 'now');
    void queue.mark('pushed', new Set(['Sent']), 'now');
    const first = queue.take();
    assert.equal(first?.account, 'pushed');
    assert.deepEqual(first?.scope, { whole: false, named: new Set(['INBOX', 'Sent']) });
    assert.equal(queue.take()?.account, 'swept');
    assert.equal(queue.take(), undefined);
  });

  it('answers an event only with a run that began after it', async () => {
    const queue = new AccountQueue<string>(() => {});
    void queue.mark('alice', 'account', 'soon');
    const run = queue.take();
    const late = queue.mark('alice', 'account', 'now');
    assert.equal(queue.take(), undefined, 'an account is never taken twice at once');
    run?.finish('first run');
    queue.take()?.finish('second run');
    assert.equal(await late, 'second run');
  });

  it('answers everybody who waits when it is drained', async () => {
    const queue = new AccountQueue<string>(() => {});
    const waiting = queue.mark('alice', 'account', 'soon');
    queue.drain((account) => `stopped ${account}`);
    assert.equal(await waiting, 'stopped alice');
    assert.equal(queue.take(), undefined);
  });
});
