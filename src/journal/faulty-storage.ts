/** A storage that fails as told, for tests. A fault that was never met is left in `planned`: tests assert that it is empty. */
import type { SegmentStorage } from './storage.ts';

export interface PlannedFault {
  readonly operation: 'append' | 'sync' | 'create' | 'seal' | 'truncate' | 'read' | 'list';
  /** System code of the error: ENOSPC, EIO. */
  readonly code: string;
  /** How many calls of the operation succeed before. */
  readonly after?: number;
  /** For `append`: bytes written before it fails. */
  readonly partialBytes?: number;
  /** How many calls fail; default 1. */
  readonly times?: number;
}

export class FaultyStorage implements SegmentStorage {
  readonly location: string;
  readonly planned: { -readonly [K in keyof PlannedFault]: PlannedFault[K] }[] = [];
  readonly #inner: SegmentStorage;

  constructor(inner: SegmentStorage) {
    this.#inner = inner;
    this.location = inner.location;
  }

  plan(fault: PlannedFault): void {
    this.planned.push({ ...fault });
  }

  list() {
    this.#meet('list');
    return this.#inner.list();
  }

  size(name: string) {
    return this.#inner.size(name);
  }

  async read(name: string, offset: number, length: number) {
    this.#meet('read');
    return this.#inner.read(name, offset, length);
  }

  async create(name: string, header: Uint8Array) {
    this.#meet('create');
    await this.#inner.create(name, header);
  }

  async append(name: string, offset: number, parts: readonly Uint8Array[]) {
    try {
      this.#meet('append');
    } catch (error) {
      const { partialBytes = 0 } = error as { partialBytes?: number };
      if (partialBytes > 0) {
        await this.#inner.append(name, offset, [Buffer.concat(parts).subarray(0, partialBytes)]);
      }
      throw error;
    }
    await this.#inner.append(name, offset, parts);
  }

  rewrite(name: string, offset: number, bytes: Uint8Array) {
    return this.#inner.rewrite(name, offset, bytes);
  }

  async sync(name: string) {
    this.#meet('sync');
    await this.#inner.sync(name);
  }

  async truncate(name: string, length: number) {
    this.#meet('truncate');
    await this.#inner.truncate(name, length);
  }

  async seal(name: string) {
    this.#meet('seal');
    await this.#inner.seal(name);
  }

  tidy() {
    return this.#inner.tidy();
  }

  close() {
    return this.#inner.close();
  }

  #meet(operation: PlannedFault['operation']): void {
    const fault = this.planned.find((candidate) => candidate.operation === operation);
    if (!fault) return;
    if ((fault.after ?? 0) > 0) {
      fault.after = (fault.after ?? 0) - 1;
      return;
    }
    fault.times = (fault.times ?? 1) - 1;
    if (fault.times <= 0) this.planned.splice(this.planned.indexOf(fault), 1);
    throw Object.assign(new Error(`${fault.code}: planned fault of ${operation}`), {
      code: fault.code,
      partialBytes: fault.partialBytes,
    });
  }
}
