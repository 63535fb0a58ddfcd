/** Goal: what is left to a person after a move, done as it says, leads to a configuration that is right. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanUpList } from './clean-up.ts';

test('the new server gets the accounts in the configuration, and the former one loses them', () => {
  const server = (host: string) => ({ host, services: {}, imap: { port: 143, security: 'none' } });
  const context = {
    move: { pair: 'mail', plan: 'p', from: 'mail-a', to: 'mail-b' },
    from: { ...server('192.0.2.1'), accounts: { from: 'list' } },
    to: server('192.0.2.2'),
    rehomes: [],
    fences: [],
    pair: { rehome: [] },
    ports: { following: { continuous: true } },
    parameters: {},
  } as never;
  const items = cleanUpList(context, { state: 'done', steps: [] } as never);
  const text = items.find(({ what }) => what === 'configuration')?.text ?? '';
  assert.match(
    text,
    /swap live and standby of pair mail, give mail-b the accounts of mail-a, and take `accounts` from mail-a/,
  );
});
