import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOwnMailbox } from './own-mailbox.ts';

const of = (...prefixes: string[]) => prefixes.map((prefix) => ({ prefix, delimiter: '.' }));

describe('isOwnMailbox', () => {
  it('takes everything where the server tells of no namespaces', () => {
    assert.ok(isOwnMailbox('news', undefined));
  });

  it('leaves out what lies below a prefix of others or of all', () => {
    const namespaces = { personal: of(''), others: of('Other Users/'), shared: of('Shared Folders/') };
    assert.ok(isOwnMailbox('INBOX', namespaces));
    assert.ok(isOwnMailbox('Work', namespaces));
    assert.equal(isOwnMailbox('Other Users/bob/Team', namespaces), false);
    assert.equal(isOwnMailbox('Shared Folders/news', namespaces), false);
  });

  it('leaves out what has no prefix where that is shared', () => {
    const namespaces = { personal: of('INBOX.'), others: of('user.'), shared: of('') };
    assert.ok(isOwnMailbox('INBOX', namespaces));
    assert.ok(isOwnMailbox('INBOX.Work', namespaces));
    assert.equal(isOwnMailbox('news', namespaces), false);
    assert.equal(isOwnMailbox('user.bob.Team', namespaces), false);
  });

  it('takes what has no prefix where nothing is said to be the account’s', () => {
    assert.ok(isOwnMailbox('Work', { personal: [], others: [], shared: of('') }));
  });
});
