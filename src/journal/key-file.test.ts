import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadKeyFile } from './key-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'understudy-key-'));
after(() => rmSync(folder, { recursive: true }));

function keyFile(content: string | Buffer, mode = 0o600): string {
  const path = join(folder, randomBytes(4).toString('hex'));
  writeFileSync(path, content, { mode });
  return path;
}

describe('key file', () => {
  const key = randomBytes(32);

  it('holds raw bytes, hexadecimal digits or base64', async () => {
    for (const content of [
      key,
      key.toString('hex'),
      `${key.toString('hex').toUpperCase()}\n`,
      key.toString('base64'),
      `${key.toString('base64')}\r\n`,
      key.toString('base64').replace('=', ''),
    ]) {
      assert.deepEqual(Buffer.from(await loadKeyFile(keyFile(content))), key);
    }
  });

  it('is refused when it holds something else, without showing what', async () => {
    for (const content of [
      '',
      'a passphrase',
      key.subarray(1),
      key.toString('hex').slice(1),
      randomBytes(5000),
    ]) {
      await assert.rejects(loadKeyFile(keyFile(content)), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'JOURNAL_KEY_FILE_INVALID');
        assert.ok(!error.message.includes('passphrase'));
        return true;
      });
    }
    await assert.rejects(loadKeyFile(join(folder, 'absent')), {
      code: 'JOURNAL_KEY_FILE_INVALID',
      // A new key opens no journal that exists.
      remedy: /^A journal that exists opens with its own key alone.*put the copy of it back.*openssl rand/,
    });
    await assert.rejects(loadKeyFile(folder), { code: /JOURNAL_KEY_FILE/ });
  });

  it('is refused when others than its owner can read it', async () => {
    for (const mode of [0o640, 0o604, 0o644]) {
      await assert.rejects(loadKeyFile(keyFile(key, mode)), { code: 'JOURNAL_KEY_FILE_EXPOSED' });
    }
  });
});
