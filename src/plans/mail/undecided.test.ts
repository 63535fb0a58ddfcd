/** Goal: a move that nobody has decided on is not undone by a second one, and stands in nobody's way otherwise. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PlanRecord, PlanState } from '../index.ts';
import type { TakeOverParameters } from './context.ts';
import { insistOnDecision, undecided } from './undecided.ts';

const there: TakeOverParameters = { from: 'mail-a', to: 'mail-b' };
const home: TakeOverParameters = { from: 'mail-b', to: 'mail-a' };
const plan = (id: string, state: PlanState, parameters: TakeOverParameters) =>
  ({ id, kind: 'switchover', state, parameters }) as unknown as PlanRecord;
const only = (parameters: TakeOverParameters, ...accounts: string[]) => ({ ...parameters, accounts });

describe('a new plan in the other direction', () => {
  const found = (plans: readonly PlanRecord[], asked: TakeOverParameters) => undecided(plans, asked)?.id;

  it('waits for a decision on the newest that moved the same accounts', () => {
    assert.equal(found([plan('1', 'done', there)], home), '1');
    assert.equal(found([plan('1', 'committed', there)], home), undefined);
    assert.equal(found([plan('1', 'done', there), plan('2', 'rolled-back', home)], home), '1');
    assert.equal(found([plan('1', 'done', there), plan('2', 'committed', home)], home), undefined);
  });

  it('is another thing than a further one in the same direction', () => {
    assert.equal(found([plan('1', 'done', only(there, 'a'))], there), undefined);
  });

  it('concerns accounts that were all moved by it', () => {
    const plans = [plan('1', 'done', only(there, 'a', 'b')), plan('2', 'done', only(there, 'c'))];
    assert.equal(found(plans, only(home, 'b')), '1');
    assert.equal(found(plans, only(home, 'd')), undefined);
    assert.equal(found([plan('1', 'done', there)], only(home, 'b')), '1');
    const rest = { ...there, except: ['a'] };
    assert.equal(found([plan('1', 'done', rest)], only(home, 'a')), undefined);
    assert.equal(found([plan('1', 'done', rest)], only(home, 'b')), '1');
    assert.equal(found([plan('1', 'done', rest)], home), '1', 'the same command, once all are there');
    assert.equal(found([plan('1', 'done', only(home, 'a'))], there), undefined);
  });

  it('is refused while the server that acts answers, and names the ways out, also from one that is ill', async () => {
    const context = (answers: boolean) => ({
      otherPlans: () => [plan('20261130-abcd', 'done', there)],
      parameters: home,
      move: { plan: 'new', pair: 'mail', from: 'mail-b', to: 'mail-a' },
      ports: { answers: async () => answers } as never,
    });
    await assert.rejects(insistOnDecision(context(true)), {
      code: 'TAKEOVER_UNDECIDED',
      kind: 'refused',
      remedy:
        /plan commit 20261130-abcd.*plan rollback 20261130-abcd.*if mail-b is ill: .*plan commit 20261130-abcd, then: understudy failover mail/,
    });
    await insistOnDecision(context(false));
  });
});
