/**
 * A TCP proxy with scripted faults, in front of a real server. A fault counts bytes of one direction of one
 * connection; connections are numbered from 0 in the order they come, and those without a fault are passed through.
 */
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';

export interface Fault {
  /** Which connection. Default: every one. */
  readonly connection?: number;
  /** From server to client, after this many bytes… Default 0. */
  readonly afterBytes?: number;
  /** …or where this text begins, in whichever connection it passes. A text that a read cuts in two is missed. */
  readonly atText?: string;
  readonly what: /** both sides are reset */
    | 'reset'
    /** the server's last words are a BYE */
    | 'bye'
    /** the client sees an orderly end */
    | 'end'
    /** nothing passes any more, in either direction, and nobody is told */
    | 'half-open'
    /** `bytesPerTick` every `tickMs` from then on */
    | 'drip';
  readonly bytesPerTick?: number;
  readonly tickMs?: number;
}

/** Replaces bytes of the same length, server to client: a wrong RFC822.SIZE, a broken literal. */
export interface Rewrite {
  readonly from: string;
  readonly to: string;
  /** Only once after each time that the client sent this: the answer to a command. */
  readonly after?: string;
}

export interface FaultyProxy {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** How often a fault struck: a script that never did is a mistake of the test. */
  readonly struck: number;
  close(): Promise<void>;
}

/** The script may be changed while the proxy runs: it is read when a connection begins, rewrites at every read. */
export async function startFaultyProxy(
  to: { host: string; port: number },
  script: { faults?: readonly Fault[]; rewrites?: readonly Rewrite[] } = {},
): Promise<FaultyProxy> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let struck = 0;
  for (const { from, to: written } of script.rewrites ?? []) {
    if (from.length !== written.length) throw new Error(`a rewrite keeps the length: ${from}`);
  }

  const server: Server = createServer((client) => {
    const number = connections;
    connections += 1;
    const upstream = connectTcp(to);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {}); // a reset is what we are for
      socket.on('close', () => sockets.delete(socket));
    }
    const fault = script.faults?.find(({ connection }) => connection === undefined || connection === number);
    let passed = 0;
    let silent = false;
    let dripping: Buffer | undefined;
    const due = new Map<Rewrite, number>();
    client.on('data', (chunk: Buffer) => {
      for (const rewrite of script.rewrites ?? []) {
        if (rewrite.after !== undefined && chunk.includes(rewrite.after, 0, 'latin1'))
          due.set(rewrite, (due.get(rewrite) ?? 0) + 1);
      }
      if (!silent) upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      if (silent) return;
      let bytes = rewritten(chunk, script.rewrites ?? [], due, () => {
        struck += 1;
      });
      if (dripping) {
        dripping = Buffer.concat([dripping, bytes]);
        return;
      }
      const left = fault ? bytesLeft(fault, passed, bytes) : Number.POSITIVE_INFINITY;
      if (bytes.length < left) {
        passed += bytes.length;
        client.write(bytes);
        return;
      }
      const rest = bytes.subarray(left);
      bytes = bytes.subarray(0, left);
      struck += 1;
      switch (fault?.what) {
        case 'reset':
          client.write(bytes, () => client.resetAndDestroy());
          upstream.destroy();
          break;
        case 'bye':
          client.end(Buffer.concat([bytes, Buffer.from('* BYE Server shutting down.\r\n')]));
          upstream.destroy();
          break;
        case 'end':
          client.end(bytes);
          upstream.destroy();
          break;
        case 'half-open':
          client.write(bytes);
          silent = true;
          break;
        case 'drip': {
          client.write(bytes);
          dripping = Buffer.from(rest);
          const { bytesPerTick = 16, tickMs = 5 } = fault;
          const ticker = setInterval(() => {
            if (!dripping || client.destroyed) return clearInterval(ticker);
            client.write(dripping.subarray(0, bytesPerTick));
            dripping = dripping.subarray(bytesPerTick);
          }, tickMs);
          client.on('close', () => clearInterval(ticker));
        }
      }
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => {
      if (!silent) client.end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  return {
    host: '127.0.0.1',
    port,
    get connections() {
      return connections;
    },
    get struck() {
      return struck;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** How many bytes pass before the fault strikes. */
function bytesLeft(fault: Fault, passed: number, bytes: Buffer): number {
  if (fault.atText === undefined) return (fault.afterBytes ?? 0) - passed;
  const at = bytes.indexOf(fault.atText, 0, 'latin1');
  return at < 0 ? Number.POSITIVE_INFINITY : at;
}

/** A text that a read cuts in two is missed: tests count `struck`. */
function rewritten(
  chunk: Buffer,
  rewrites: readonly Rewrite[],
  due: Map<Rewrite, number>,
  hit: () => void,
): Buffer {
  let bytes = chunk;
  for (const rewrite of rewrites) {
    const { from, to, after } = rewrite;
    for (let at = bytes.indexOf(from, 0, 'latin1'); at >= 0; at = bytes.indexOf(from, at + 1, 'latin1')) {
      if (after !== undefined) {
        const left = due.get(rewrite) ?? 0;
        if (left === 0) break;
        due.set(rewrite, left - 1);
      }
      if (bytes === chunk) bytes = Buffer.from(chunk);
      bytes.write(to, at, 'latin1');
      hit();
    }
  }
  return bytes;
}
