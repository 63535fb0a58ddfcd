/** Two real Dovecots, `a` and `b`, that greet with their name, and the configuration of a pair with a front door before them. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { proxyStats, type RehomeDeps, stopProxy } from '../../src/rehome/index.ts';
import { freePort } from '../lab/address.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { temporaryDirectory } from '../lab/temp.ts';

export const deps: RehomeDeps = {
  clock: systemClock,
  log: silentLog,
  entry: pathToFileURL(join(import.meta.dirname, 'proxy-entry.ts')),
};

/** The port of Dovecot's listener that expects PROXY protocol. */
export const HAPROXY_PORT = 10_143;

export const PAIR = 'mail';

export interface World {
  readonly a: Dovecot;
  readonly b: Dovecot;
  readonly folder: string;
  readonly config: Config;
  /** Port of the front door, on 127.0.0.1. */
  port(service: string): number;
  /** Writes a configuration whose pair has these lines; `port('x')` names are replaced by free ports: `{x}`. */
  configure(pairLines: string, name?: string): Promise<Config>;
  stop(): Promise<void>;
}

export async function startWorld(pairLines: string): Promise<World> {
  const temporary = temporaryDirectory('door');
  const [a, b] = await Promise.all([server('a'), server('b')]);
  const ports = new Map<string, number>();
  const configs: Config[] = [];
  const configure = async (lines: string, name = 'understudy') => {
    for (const [, service = ''] of lines.matchAll(/\{(\w+)\}/g)) {
      if (!ports.has(service)) ports.set(service, await freePort('127.0.0.1'));
    }
    const filled = lines.replaceAll(/\{(\w+)\}/g, (_, service: string) => String(ports.get(service)));
    const file = join(temporary.path, `${name}.yaml`);
    writeFileSync(file, yaml(a, b, filled));
    const config = loadConfig(file);
    configs.push(config);
    return config;
  };
  const config = await configure(pairLines);
  return {
    a,
    b,
    folder: temporary.path,
    config,
    port: (service) => ports.get(service) ?? 0,
    configure,
    stop: async () => {
      for (const each of configs) await stopProxy(each, PAIR, deps);
      await Promise.all([a.stop(), b.stop()]);
      temporary.remove();
    },
  };
}

function server(name: string): Promise<Dovecot> {
  return startDovecot({
    accounts: 2,
    ssl: true,
    extraConfig: `protocols = imap lmtp pop3
login_greeting = ${name} ready
haproxy_trusted_networks = 127.0.0.0/8
service imap-login {
  inet_listener imap_haproxy {
    port = ${HAPROXY_PORT}
    haproxy = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = 110
  }
  inet_listener pop3s {
    port = 0
  }
}
`,
  });
}

function yaml(a: Dovecot, b: Dovecot, pairLines: string): string {
  const one = (name: string, { address, imapPort, imapsPort, lmtpPort }: Dovecot) =>
    `  ${name}: { workload: mail, host: ${address}, imap: { port: ${imapPort}, security: none }, services: { imaps: ${imapsPort}, lmtp: ${lmtpPort} } }`;
  return `dataDir: data
servers:
${one('a', a)}
${one('b', b)}
  a2: { workload: mail, host: ${a.address}, imap: { port: ${HAPROXY_PORT}, security: none } }
  b2: { workload: mail, host: ${b.address}, imap: { port: ${HAPROXY_PORT}, security: none } }
pairs:
  ${PAIR}:
${pairLines}
`;
}

/** A connection that reads what it is told. */
export class Peer {
  readonly socket: Socket;
  text = '';
  ended = false;

  static async to(port: number, localAddress = '127.0.0.1'): Promise<Peer> {
    const peer = new Peer(connect({ port, host: '127.0.0.1', localAddress }));
    await once(peer.socket, 'connect');
    return peer;
  }

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.text += text;
    });
    socket.on('error', () => {
      this.ended = true;
    });
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.ended = true;
      });
    }
  }

  /** Resolves when the text so far matches, and forgets it up to there. */
  async reads(pattern: RegExp): Promise<string> {
    await until(`to read ${pattern}, has ${JSON.stringify(this.text.slice(-300))}`, () =>
      pattern.test(this.text) || this.ended ? true : undefined,
    );
    const match = pattern.exec(this.text);
    if (match === null) throw new Error(`ended without ${pattern}: ${this.text.slice(-300)}`);
    this.text = this.text.slice(match.index + match[0].length);
    return match[0];
  }

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  async ends(): Promise<void> {
    await until('the connection to end', () => (this.ended ? true : undefined));
  }

  close(): void {
    this.socket.destroy();
  }
}

export async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const start = systemClock.monotonicMs();
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (systemClock.monotonicMs() - start > 15_000) throw new Error(`waited in vain for ${what}`);
    await systemClock.sleep(5);
  }
}

/** Which server a new client reaches: `a`, `b`; nothing when it is refused, or waits for half a second. */
export async function leadsTo(port: number): Promise<string | undefined> {
  let peer: Peer;
  try {
    peer = await Peer.to(port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return undefined;
    throw error;
  }
  try {
    const start = systemClock.monotonicMs();
    while (systemClock.monotonicMs() - start < 500 && !peer.ended) {
      const name = /(\w+) ready\.?\r\n/.exec(peer.text)?.[1];
      if (name !== undefined) return name;
      await systemClock.sleep(5);
    }
    return undefined;
  } finally {
    peer.close();
  }
}

export async function statsOf(config: Config) {
  const stats = await proxyStats(config, PAIR, deps);
  if (stats === undefined) throw new Error('no proxy runs');
  return stats;
}
