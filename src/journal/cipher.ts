/** AES-256-GCM for the frames of one segment; docs/internals/journal-format.md argues keys and nonces. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

export const KEY_BYTES = 32;
export const KEY_ID_BYTES = 16;
export const KEY_SALT_BYTES = 16;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

/** Tells which key a journal needs without giving anything of it away. */
export function keyIdOf(key: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', key, new Uint8Array(0), 'understudy journal key id', 32)).subarray(
    0,
    16,
  );
}

export function segmentKey(key: Uint8Array, journalId: Uint8Array, keySalt: Uint8Array): Buffer {
  const salt = Buffer.concat([journalId, keySalt]);
  return Buffer.from(hkdfSync('sha256', key, salt, 'understudy journal segment', KEY_BYTES));
}

export function newNonce(): Buffer {
  return randomBytes(NONCE_BYTES);
}

/** The ciphertext and its tag, as parts to be written one after the other. */
export function encrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  additional: readonly Uint8Array[],
  payload: Uint8Array,
): [Buffer, Buffer] {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.concat(additional));
  const ciphertext = cipher.update(payload);
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

/** @throws when the tag does not match: another key, or other bytes. */
export function decrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  additional: readonly Uint8Array[],
  stored: Uint8Array,
): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.concat(additional));
  decipher.setAuthTag(stored.subarray(stored.length - TAG_BYTES));
  const payload = decipher.update(stored.subarray(0, stored.length - TAG_BYTES));
  decipher.final();
  return payload;
}
