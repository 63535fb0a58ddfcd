/**
 * The path of a Unix socket has at most 107 bytes (unix(7)); a data folder may have more. A longer one is reached
 * through a descriptor of its folder.
 */
import { closeSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';

const PATH_BYTES_MOST = 107;

/** Calls `use` with a path that the system takes; what it starts must have begun when its promise resolves. */
export async function withSocketPath<T>(path: string, use: (path: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(path) <= PATH_BYTES_MOST) return use(path);
  const folder = openSync(dirname(path), 'r');
  try {
    return await use(`/proc/self/fd/${folder}/${basename(path)}`);
  } finally {
    closeSync(folder);
  }
}
