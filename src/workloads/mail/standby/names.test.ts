import assert from 'node:assert/strict';
import { test } from 'node:test';
import { homeOf, isKept, keptName, numbersName, replacedName } from './names.ts';

test('what is made beside a mailbox is in the personal namespace, and tells for whose sake it was made', () => {
  for (const rules of [
    { separator: '/', prefix: '' },
    { separator: '.', prefix: 'INBOX.' },
  ]) {
    const { separator, prefix } = rules;
    for (const mailbox of ['INBOX', `${prefix}Work`, `${prefix}Work${separator}Deep`]) {
      for (const name of [replacedName(mailbox, rules), numbersName(mailbox, rules)]) {
        assert.ok(name.startsWith(prefix), name);
        assert.equal(homeOf(name, rules), mailbox);
      }
      const kept = keptName(mailbox, rules);
      assert.ok(kept.startsWith(prefix) && isKept(kept), kept);
    }
  }
});
