/**
 * Goal: the corpus reaches the tests as its notes describe it. Method: count, and look for the features it names.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bulkMessages, corpusMissing, nastyMessages, withCrlf } from './corpus.ts';

describe('corpus', () => {
  it('turns a lone LF into CR LF and keeps a lone CR', () => {
    assert.equal(withCrlf(Buffer.from('a\nb\r\nc\rd\n\n')).toString(), 'a\r\nb\r\nc\rd\r\n\r\n');
  });

  it('gives all nasty messages with their tags', { skip: corpusMissing }, () => {
    const messages = [...nastyMessages()];
    assert.equal(messages.length, 615);
    assert.ok(messages.some(({ tags }) => tags.includes('8bit-header')));
    assert.ok(messages.some(({ raw }) => raw.length > 1_000_000));
  });

  it('unpacks real mail in order', { skip: corpusMissing }, async () => {
    const messages = [];
    for await (const message of bulkMessages('spamassassin')) messages.push(message);
    assert.equal(messages.length, 6294);
    assert.equal(new Set(messages.map(({ name }) => name)).size, 6294);
    assert.ok(messages.some(({ tags }) => tags.includes('lone-dot')));
    let first = 0;
    for await (const { raw } of bulkMessages('linux-mips-list', 3)) first += Math.min(raw.length, 1);
    assert.equal(first, 3);
  });
});
