/** What servers say that speak to syslog only: the socket that their world has as `/dev/log`. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export interface Syslog {
  /** All that was said so far, a line each. */
  text(): string;
  close(): Promise<void>;
}

/** Listens on `path`. C libraries that find a stream socket end each message with NUL. */
export async function listenSyslog(path: string): Promise<Syslog> {
  let text = '';
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text = (text + chunk.replaceAll('\0', '\n')).slice(-(1 << 20));
    });
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    text: () => text,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}
