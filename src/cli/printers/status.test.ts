/** Goal: what a standby lacks is said by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printStatus } from './status.ts';

type Output = Parameters<typeof printStatus>[0];
type Warm = NonNullable<Output['pairs'][number]['warm']>;

function print(warm: Partial<Warm>): string {
  const whole: Warm = {
    source: 'mail-a',
    target: 'mail-b',
    phase: 'following',
    held: [],
    problems: [],
    incomplete: [],
    ...warm,
  };
  const pair = { pair: 'site', live: 'mail-a', standby: 'mail-b', acting: 'mail-a', warm: whole };
  return printStatus({ site: 's', running: true, servers: [], pairs: [pair] } as Output);
}

test('accounts that wait for the journal are named before the standby, some of many', () => {
  assert.doesNotMatch(print({}), /not on the standby/);
  assert.match(print({ incomplete: ['alice'] }), /^site: 1 account not on the standby yet, .*: alice$/m);
  const many = Array.from({ length: 300 }, (_, index) => `user${index}`);
  assert.match(
    print({ incomplete: many }),
    /^site: 300 accounts not on .*: user0, .*user19 and 280 more \(--json lists all\)$/m,
  );
});
