import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Lsn } from '../journal/index.ts';
import { hasCode } from '../lib/index.ts';
import { parseAt } from './resolve-at.ts';
import { EntryList, mailboxRecord, temporaryCatalog } from './testing.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

test('the four ways to write a point in time', () => {
  assert.deepEqual(parseAt('lsn:12', now), { kind: 'lsn', lsn: 12 });
  assert.deepEqual(parseAt('-2h', now), { kind: 'time', timeMs: now - 7_200_000 });
  assert.deepEqual(parseAt('-90m', now), { kind: 'time', timeMs: now - 5_400_000 });
  assert.deepEqual(parseAt('-3d', now), { kind: 'time', timeMs: now - 259_200_000 });
  assert.deepEqual(parseAt('2026-03-01T13:00:00+01:00', now), { kind: 'time', timeMs: now });
  assert.deepEqual(parseAt('before-upgrade', now), { kind: 'label', label: 'before-upgrade' });
});

test('what is none of them is said to be none', () => {
  for (const spec of [
    '',
    '2026-03-01',
    '2026-03-01T12:00:00',
    '2026-02-31T12:00:00Z',
    '2026-03-01T25:00:00Z',
    'lsn:x',
    '-2',
    '-2y',
    '-999999999w',
  ]) {
    assert.throws(
      () => parseAt(spec, now),
      (error) => hasCode(error, 'CATALOG_AT_INVALID'),
      spec,
    );
  }
});

test('a time or LSN means the last commit at or before it; outside is refused with the first checkpoint or last commit', (t) => {
  const catalog = temporaryCatalog(t);
  const code = (spec: string) => {
    try {
      return catalog.resolveAt(spec, now);
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  assert.equal(code('2026-01-01T00:00:01Z'), 'CATALOG_AT_BEFORE_FIRST');
  const list = new EntryList();
  const one = list.step(mailboxRecord(1, 'a', 'INBOX'));
  const two = list.step({ t: 'checkpoint', cause: 'operator', label: 'before-upgrade' });
  const three = list.step(
    { t: 'checkpoint', cause: 'burst', account: 'a' },
    { t: 'mailbox-gone', id: 1 as never },
  );
  catalog.apply(list.take());
  assert.equal(code('2026-01-01T00:00:01Z'), 'CATALOG_AT_BEFORE_FIRST');
  assert.equal(code(`lsn:${one}`), 'CATALOG_AT_BEFORE_FIRST');
  assert.equal(code('2026-01-01T00:00:02.999Z'), two);
  assert.equal(code('-1d'), three);
  assert.equal(code(`lsn:${two + 1}`), two);
  assert.equal(code('before-upgrade'), two);
  assert.equal(code('befor-upgrade'), 'CATALOG_LABEL_UNKNOWN');
  assert.throws(() => catalog.resolveAt('befor-upgrade', now), /before-upgrade|labelled/);
  assert.equal(code('lsn:1'), 'CATALOG_AT_BEFORE_FIRST');
  assert.equal(code('2026-01-01T00:00:00.999Z'), 'CATALOG_AT_BEFORE_FIRST');
  assert.equal(code(`lsn:${three + 1}`), 'CATALOG_AT_IN_FUTURE');
  assert.equal(code('2026-03-01T12:00:01Z'), 'CATALOG_AT_IN_FUTURE');
  const burst = catalog.checkpoints().find(({ cause }) => cause === 'burst');
  assert.equal(burst?.lsn, two, 'a burst checkpoint is the state before the burst');
});

test('a moment of the first pass is refused: half of the server is no state of it', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const asked = (lsn: Lsn) => {
    try {
      return catalog.resolveAt(`lsn:${lsn}`, now);
    } catch (error) {
      return [(error as { code: string }).code, (error as { remedy: string }).remedy];
    }
  };
  const before = list.step(mailboxRecord(1, 'a', 'INBOX'), mailboxRecord(2, 'a', 'Work'));
  const gone = list.step(
    { t: 'checkpoint', cause: 'burst', account: 'a' },
    { t: 'mailbox-gone', id: 1 as never },
  );
  catalog.apply(list.take());
  const [code, remedy] = asked(gone) as string[];
  assert.equal(code, 'CATALOG_AT_BEFORE_FIRST');
  assert.match(remedy as string, /first pass/);
  assert.equal(asked(before), before, 'what a burst took can be brought back in the first pass too');
  const late = list.step(mailboxRecord(3, 'b', 'INBOX'));
  const pass = list.step({ t: 'checkpoint', cause: 'pass' });
  const after = list.step(mailboxRecord(4, 'b', 'Work'));
  catalog.apply(list.take());
  assert.match((asked(late) as string[])[1] as string, new RegExp(`lsn:${pass} `));
  assert.equal(asked(before), before);
  assert.equal(asked(pass), pass);
  assert.equal(asked(after), after);
});

test('a moment of the first pass is one of an account that had been looked at to its end', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const asked = (spec: string, account?: string) => {
    try {
      return catalog.resolveAt(spec, now, account);
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const half = list.step({ t: 'account', account: 'bob' }, mailboxRecord(1, 'bob', 'INBOX'));
  const looked = list.step({ t: 'subscriptions', account: 'bob', names: [] });
  const later = list.step(mailboxRecord(2, 'amy', 'INBOX'));
  catalog.apply(list.take());
  const second = (n: number) => `2026-01-01T00:00:0${n}Z`;
  const refused = 'CATALOG_AT_BEFORE_FIRST';
  assert.deepEqual([asked(second(1), 'bob'), asked(`lsn:${half}`, 'bob')], [refused, half]);
  assert.deepEqual([asked(second(2), 'bob'), asked(second(3), 'bob')], [looked, later]);
  assert.deepEqual(
    [asked(second(3), 'amy'), asked(second(3)), asked(`lsn:${later}`)],
    Array(3).fill(refused),
  );
  assert.throws(() => catalog.resolveAt(second(1), now, 'bob'), { remedy: new RegExp(`lsn:${looked} `) });
  const pass = list.step({ t: 'checkpoint', cause: 'pass' });
  catalog.apply(list.take());
  assert.deepEqual([asked(second(2), 'bob'), asked(second(2)), asked(second(4))], [looked, refused, pass]);
});

test('bisection finds the same commit as a look at all of them', (t) => {
  const catalog = temporaryCatalog(t);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 3 })), {
        minLength: 1,
        maxLength: 60,
      }),
      (steps) => {
        let lsn = catalog.appliedLsn as number;
        let time = catalog.lastCommit()?.time ?? 1000;
        for (const [lsns, ms] of steps) {
          lsn += lsns;
          time += ms;
          catalog.apply([{ lsn: lsn as Lsn, record: { t: 'commit', time } }]);
        }
        const first = catalog.firstCommit() as { lsn: Lsn; time: number };
        let expected = first;
        for (let at = first.time - 2; at <= time + 2; at += 1) {
          for (;;) {
            const next = catalog.commitAtOrAfter((expected.lsn + 1) as Lsn);
            if (!next || next.time > at) break;
            expected = { ...next };
          }
          assert.deepEqual({ ...catalog.commitAtTime(at) }, at < first.time ? {} : expected);
        }
      },
    ),
    { numRuns: 20 },
  );
});
