/** Files of an export: never half there under their name, never overwriting another. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder as makeFolderNow, messageOf, UnderstudyError } from '../../lib/index.ts';
import { historyErrors } from '../errors.ts';

/** 'skipped': the same file was there already. */
export type Outcome = 'written' | 'skipped';

/**
 * Writes a whole file, or leaves the equal one that is there. `temporary`: a free name on the same file system. `mtimeMs` is
 * set on a new file. @throws HISTORY_EXPORT_TARGET_EXISTS, HISTORY_EXPORT_STORAGE_FAILED
 */
export async function writeTarget(
  file: string,
  bytes: Uint8Array,
  temporary: string,
  mtimeMs?: number,
): Promise<Outcome> {
  return guarded(file, async () => {
    const there = await sizeOf(file);
    if (there !== undefined) {
      if (there === bytes.length && (await readFile(file)).equals(bytes)) return 'skipped';
      throw targetExists(file);
    }
    await writeFile(temporary, bytes);
    if (mtimeMs !== undefined) await utimes(temporary, mtimeMs / 1000, mtimeMs / 1000);
    await rename(temporary, file);
    return 'written';
  });
}

/** A file written piece by piece under a temporary name. */
export class TargetStream {
  readonly #file: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  #buffered: Uint8Array[] = [];
  #bufferedBytes = 0;

  static async create(file: string): Promise<TargetStream> {
    const temporary = `${file}.${randomUUID()}.partial`;
    return guarded(file, async () => new TargetStream(file, temporary, await open(temporary, 'wx')));
  }

  private constructor(file: string, temporary: string, handle: FileHandle) {
    this.#file = file;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  async write(bytes: Uint8Array | string): Promise<void> {
    const piece = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    this.#buffered.push(piece);
    this.#bufferedBytes += piece.length;
    if (this.#bufferedBytes >= 1 << 20) await this.#flush();
  }

  async #flush(): Promise<void> {
    const pieces = this.#buffered.splice(0);
    this.#bufferedBytes = 0;
    if (pieces.length > 0) await guarded(this.#file, () => this.#handle.writeFile(Buffer.concat(pieces)));
  }

  /** Gives the file its name, or leaves the equal one that is there. @throws HISTORY_EXPORT_TARGET_EXISTS, HISTORY_EXPORT_STORAGE_FAILED */
  async finish(): Promise<Outcome> {
    try {
      await this.#flush();
      await guarded(this.#file, () => this.#handle.sync());
    } finally {
      await this.#handle.close();
    }
    return guarded(this.#file, async () => {
      if ((await sizeOf(this.#file)) === undefined) {
        await rename(this.#temporary, this.#file);
        return 'written';
      }
      const same = await sameContent(this.#file, this.#temporary);
      await unlink(this.#temporary);
      if (!same) throw targetExists(this.#file);
      return 'skipped';
    });
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.#handle.close();
    await unlink(this.#temporary);
  }
}

export async function makeFolder(dir: string): Promise<void> {
  await guarded(dir, async () => makeFolderNow(dir, 0o777));
}

/** Makes the names in a folder durable. */
export async function syncFolder(dir: string): Promise<void> {
  await guarded(dir, async () => {
    const handle = await open(dir, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

export function targetExists(file: string): Error {
  return historyErrors.make(
    'HISTORY_EXPORT_TARGET_EXISTS',
    `${file} exists and differs from what would be exported`,
    {
      details: { file },
    },
  );
}

export async function guarded<T>(place: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof UnderstudyError) throw error;
    const details = { folder: dirname(place) };
    throw historyErrors.make('HISTORY_EXPORT_STORAGE_FAILED', messageOf(error), { cause: error, details });
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function sameContent(one: string, other: string): Promise<boolean> {
  if ((await sizeOf(one)) !== (await sizeOf(other))) return false;
  const [left, right] = await Promise.all([open(one, 'r'), open(other, 'r')]);
  try {
    const a = Buffer.alloc(1 << 20);
    const b = Buffer.alloc(1 << 20);
    for (;;) {
      const read = await left.read(a, 0, a.length);
      const { bytesRead } = await right.read(b, 0, a.length);
      if (read.bytesRead !== bytesRead || !a.subarray(0, bytesRead).equals(b.subarray(0, bytesRead)))
        return false;
      if (bytesRead === 0) return true;
    }
  } finally {
    await left.close();
    await right.close();
  }
}
