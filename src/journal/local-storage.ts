/** Segments as plain files in one folder. */
import { chmod, type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crashPoint, makeFolder } from '../lib/index.ts';
import type { SegmentStorage, StoredSegment } from './storage.ts';

const SEGMENT_SUFFIX = '.seg';
const NEW_SUFFIX = '.seg.new';
const SEALED_MODE = 0o444;
const ACTIVE_MODE = 0o640;
const OWNER_WRITE = 0o200;
/** Read handles kept open: the segments that a restore or a listing goes back and forth between. */
const READ_HANDLES_MAX = 16;

interface ReadHandle {
  readonly opening: Promise<FileHandle>;
  users: number;
}

/** @param directory made (with its parents) when the first segment is created. */
export function localStorage(directory: string): SegmentStorage {
  return new LocalStorage(directory);
}

class LocalStorage implements SegmentStorage {
  readonly location: string;
  /** Least recently used first. */
  readonly #readHandles = new Map<string, ReadHandle>();
  #writer: { name: string; handle: FileHandle } | undefined;

  constructor(directory: string) {
    this.location = directory;
  }

  async list(): Promise<readonly StoredSegment[]> {
    let names: string[];
    try {
      names = await readdir(this.location);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    const segments: StoredSegment[] = [];
    for (const name of names.filter((entry) => entry.endsWith(SEGMENT_SUFFIX)).sort()) {
      const { size, mode } = await stat(join(this.location, name));
      segments.push({ name, size, sealed: (mode & OWNER_WRITE) === 0 });
    }
    return segments;
  }

  async size(name: string): Promise<number> {
    return this.#reading(name, async (handle) => (await handle.stat()).size);
  }

  async read(name: string, offset: number, length: number): Promise<Buffer> {
    return this.#reading(name, async (handle) => {
      const bytes = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    });
  }

  async create(name: string, header: Uint8Array): Promise<void> {
    makeFolder(this.location, 0o750);
    const path = join(this.location, name);
    // There is one writer per journal (the vault's lock), so nobody takes the name between this look and the rename.
    if (await exists(path)) {
      throw Object.assign(new Error(`EEXIST: segment exists: ${path}`), { code: 'EEXIST' });
    }
    const temporary = join(this.location, name.replace(SEGMENT_SUFFIX, NEW_SUFFIX));
    const handle = await open(temporary, 'w', ACTIVE_MODE);
    try {
      await writeAll(handle, 0, [header]);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    crashPoint('journal.create.before-rename');
    await rename(temporary, path);
    await this.#syncDirectory();
  }

  async append(name: string, offset: number, parts: readonly Uint8Array[]): Promise<void> {
    await writeAll(await this.#forWriting(name), offset, parts);
  }

  async rewrite(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    await writeAll(await this.#forWriting(name), offset, [bytes]);
  }

  async sync(name: string): Promise<void> {
    await (await this.#forWriting(name)).datasync();
  }

  async truncate(name: string, length: number): Promise<void> {
    const handle = await this.#forWriting(name);
    await handle.truncate(length);
    await handle.sync();
  }

  async seal(name: string): Promise<void> {
    const handle = await this.#forWriting(name);
    await handle.chmod(SEALED_MODE);
    await handle.sync();
    await this.#closeWriter();
    await this.#syncDirectory();
  }

  async tidy(): Promise<void> {
    let names: string[];
    try {
      names = await readdir(this.location);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    for (const name of names.filter((entry) => entry.endsWith(NEW_SUFFIX))) {
      await rm(join(this.location, name), { force: true });
    }
  }

  async close(): Promise<void> {
    const handles = [...this.#readHandles.values()];
    this.#readHandles.clear();
    const results = await Promise.allSettled([
      this.#closeWriter(),
      ...handles.map(async ({ opening }) => (await opening).close()),
    ]);
    const failure = results.find((result) => result.status === 'rejected');
    if (failure) throw failure.reason;
  }

  async #forWriting(name: string): Promise<FileHandle> {
    if (this.#writer?.name === name) return this.#writer.handle;
    await this.#closeWriter();
    const path = join(this.location, name);
    if (((await stat(path)).mode & OWNER_WRITE) === 0) await chmod(path, ACTIVE_MODE);
    const handle = await open(path, 'r+');
    this.#writer = { name, handle };
    return handle;
  }

  async #closeWriter(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.handle.close();
  }

  async #reading<T>(name: string, act: (handle: FileHandle) => Promise<T>): Promise<T> {
    let entry = this.#readHandles.get(name);
    if (!entry) {
      entry = { opening: open(join(this.location, name), 'r'), users: 0 };
      entry.opening.catch(() => this.#readHandles.delete(name));
    }
    this.#readHandles.delete(name);
    this.#readHandles.set(name, entry);
    entry.users += 1;
    try {
      return await act(await entry.opening);
    } finally {
      entry.users -= 1;
      await this.#closeIdleReaders();
    }
  }

  /** A handle in use stays, though there may then be more than the limit for a while. */
  async #closeIdleReaders(): Promise<void> {
    for (const [name, { opening, users }] of [...this.#readHandles]) {
      if (this.#readHandles.size <= READ_HANDLES_MAX) return;
      if (users > 0) continue;
      this.#readHandles.delete(name);
      await (await opening).close();
    }
  }

  async #syncDirectory(): Promise<void> {
    const handle = await open(this.location, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** A write may be short (a full disk takes part of it first): goes on with the rest until the system reports the error itself. */
async function writeAll(handle: FileHandle, offset: number, parts: readonly Uint8Array[]): Promise<void> {
  let rest = parts.filter((part) => part.length > 0);
  let at = offset;
  while (rest.length > 0) {
    let { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    while (rest[0] && bytesWritten >= rest[0].length) {
      bytesWritten -= rest[0].length;
      rest = rest.slice(1);
    }
    if (rest[0] && bytesWritten > 0) rest = [rest[0].subarray(bytesWritten), ...rest.slice(1)];
  }
}
