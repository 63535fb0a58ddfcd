/**
 * Loopback addresses for servers of tests and of the demo: each server gets an address of its own out of 127.0.0.0/8, so that
 * all of them can listen on the usual ports, as machines do.
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * An address of 127.0.0.0/8, outside 127.0.0.0/16, on which none of `ports` is taken. Undefined when there is none:
 * another server then listens on one of them on every address of this machine.
 */
export async function freshLoopbackAddress(ports: readonly number[]): Promise<string | undefined> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const address = `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
    const free = await Promise.all(ports.map((port) => isFree(address, port)));
    if (free.every(Boolean)) return address;
  }
  return undefined;
}

/** A port that is free on `address` now. */
export function freePort(address = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, address, () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

function isFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    probe.listen(port, address, () => probe.close(() => resolve(true)));
  });
}
