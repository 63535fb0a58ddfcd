/** A disk that can be filled and can grow: a tmpfs of its own for a data folder. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryDirectory } from '../lab/temp.ts';

export interface SmallDisk {
  /** Where it is mounted. */
  readonly path: string;
  /** Folder above the mount point, for a configuration file. */
  readonly folder: string;
  readonly freeBytes: number;
  /** `6m`, as tmpfs takes it. What is on the disk stays. */
  resize(size: string): void;
  /** Takes what is free, to the last byte. */
  fill(): void;
  /** Fails when a process still has a file open there. May be repeated. */
  unmount(): void;
}

/** Undefined, and the test skipped with the reason, where nothing may be mounted. `path` ends with `data`. */
export function mountSmallDisk(t: TestContext, size: string): SmallDisk | undefined {
  const folder = temporaryDirectory('disk').path;
  const path = join(folder, 'data');
  mkdirSync(path);
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', path]);
  let mounted = mount.status === 0;
  const run = (command: string, ...args: string[]) => {
    const { status, stderr, error } = spawnSync(command, args);
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${String(stderr || error).trim()}`);
  };
  const disk: SmallDisk = {
    path,
    folder,
    get freeBytes() {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    },
    resize: (wanted) => run('mount', '-o', `remount,size=${wanted}`, path),
    fill: () => {
      const file = openSync(join(path, 'filler'), 'a');
      try {
        while (disk.freeBytes > 0) writeSync(file, Buffer.alloc(disk.freeBytes));
      } finally {
        closeSync(file);
      }
    },
    unmount: () => {
      if (mounted) run('umount', path);
      mounted = false;
    },
  };
  if (mounted) return disk;
  t.skip(`cannot mount a tmpfs: ${String(mount.stderr || mount.error).trim()}`);
  return undefined;
}
