/** Reads the key that encrypts a journal. */
import { open } from 'node:fs/promises';
import { messageOf } from '../lib/index.ts';
import { KEY_BYTES } from './cipher.ts';
import { journalErrors } from './errors.ts';

/** No key file is longer; so a wrong path does not read a disk image into memory. */
const FILE_BYTES_MAX = 4096;
const OTHERS = 0o077;

/**
 * A key file holds 32 raw bytes, or 64 hexadecimal digits, or base64 of 32 bytes (white space around is ignored).
 *
 * A file that group or others can access is refused rather than warned about: a warning in a log is not read, the repair is one
 * command, and a key that leaked opens every copy of the journal, also those elsewhere.
 * @throws JOURNAL_KEY_FILE_INVALID, JOURNAL_KEY_FILE_EXPOSED. The content is never part of a message.
 */
export async function loadKeyFile(path: string): Promise<Uint8Array> {
  const { content, mode } = await readKeyFile(path);
  if ((mode & OTHERS) !== 0) {
    throw journalErrors.make(
      'JOURNAL_KEY_FILE_EXPOSED',
      `key file ${path} has mode ${(mode & 0o777).toString(8)}: others than its owner can get at it`,
      {
        details: { path },
        remedy: `Run \`chmod 600 ${path}\`; if others could have read it, start a new vault with a new key.`,
      },
    );
  }
  const key = parseKey(content);
  if (!key) {
    throw journalErrors.make(
      'JOURNAL_KEY_FILE_INVALID',
      `key file ${path} holds ${content.length} bytes that are neither 32 raw bytes nor 64 hexadecimal digits nor base64 of 32 bytes`,
      { details: { path } },
    );
  }
  return key;
}

/** Undefined when `content` is no key. 32 bytes are always a raw key, whatever they look like. */
export function parseKey(content: Buffer): Uint8Array | undefined {
  if (content.length === KEY_BYTES) return content;
  const text = content.toString('latin1').trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/]{43}=?$/.test(text)) return Buffer.from(text, 'base64');
  return undefined;
}

async function readKeyFile(path: string): Promise<{ content: Buffer; mode: number }> {
  try {
    const handle = await open(path, 'r');
    try {
      const { mode } = await handle.stat();
      const bytes = Buffer.alloc(FILE_BYTES_MAX);
      const { bytesRead } = await handle.read(bytes, 0, FILE_BYTES_MAX, 0);
      return { content: bytes.subarray(0, bytesRead), mode };
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw journalErrors.make(
      'JOURNAL_KEY_FILE_INVALID',
      `key file ${path} cannot be read: ${messageOf(error)}`,
      {
        cause: error,
        details: { path },
      },
    );
  }
}
