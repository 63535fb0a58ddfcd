/** The key that journals are encrypted with. */
import { readFileSync } from 'node:fs';
import { messageOf } from '../lib/index.ts';
import { configErrors } from './errors.ts';
import type { Config } from './load.ts';

const KEY_BYTES = 32;

/** The configured key, or undefined where journals are not encrypted. @throws CONFIG_SECRET_MISSING, CONFIG_KEY_INVALID */
export function journalKeyOf(config: Config): Uint8Array | undefined {
  const keyFile = config.journal.encryption?.keyFile;
  return keyFile === undefined ? undefined : readJournalKey(keyFile);
}

/** Reads a key file: 32 raw bytes, or 64 hexadecimal digits, or base64, with or without a newline. */
export function readJournalKey(file: string): Uint8Array {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw configErrors.make(
      'CONFIG_SECRET_MISSING',
      `no journal key: cannot read ${file} (${messageOf(error)})`,
      {
        cause: error,
        remedy: `Put the key back into ${file}. For a new journal: openssl rand -hex 32 > ${file}`,
        details: { key: 'journal.encryption.keyFile', source: `file:${file}` },
      },
    );
  }
  if (content.length === KEY_BYTES) return new Uint8Array(content);
  const text = content.toString('latin1').trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return new Uint8Array(Buffer.from(text, 'base64'));
  throw configErrors.make(
    'CONFIG_KEY_INVALID',
    `${file} does not hold a key of ${KEY_BYTES} bytes (raw, 64 hexadecimal digits, or base64); it has ${content.length} bytes`,
    { details: { file } },
  );
}
