import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig } from '../../config/index.ts';
import { silentLog, systemClock } from '../../lib/index.ts';
import { apiErrors } from '../errors.ts';
import type { CoreParts } from '../in-process.ts';
import { VaultKeeper } from './vault-keeper.ts';

const CONFIG = `
dataDir: data
servers:
  mail-a:
    workload: mail
    host: 127.0.0.1
    imap: { security: none, masterUser: m, masterSecret: s }
    accounts: { list: [alice] }
`;

test('a vault that is being opened again when the keeper is stopped is closed', {
  timeout: 10_000,
}, async () => {
  const opening = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<object>();
  const ended: string[] = [];
  let opens = 0;
  const adapters = {
    clock: { ...systemClock, sleep: async () => {} },
    mail: async () => ({
      startShadow: () => ({ broken: new Promise(() => {}), stop: async () => ended.push('engine') }),
    }),
    openVault: async () => {
      opens += 1;
      if (opens === 1) throw apiErrors.make('API_INTERRUPTED', 'not now');
      opening.resolve();
      return opened.promise;
    },
  };
  const parts = { config: parseConfig(CONFIG, 'understudy.yaml'), adapters, log: silentLog };
  const keeper = await VaultKeeper.start(parts as unknown as CoreParts, 'mail-a');
  await opening.promise;
  const stopped = keeper.stop();
  opened.resolve({ whenStopped: new Promise(() => {}), close: async () => ended.push('vault') });
  await stopped;
  assert.deepEqual(ended, ['engine', 'vault']);
});
