/** A server for the bench of the front door, in a thread of its own: it greets with its name, answers PING, and gives bytes. */
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const name = workerData as string;
const block = Buffer.alloc(1 << 18, 'x');

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {}); // a client that was cut
  socket.write(`* OK ${name} ready\r\n`);
  let left = 0;
  const give = () => {
    while (left > 0) {
      const bytes = block.subarray(0, Math.min(left, block.length));
      left -= bytes.length;
      if (!socket.write(bytes)) return;
    }
  };
  socket.on('drain', give);
  socket.on('data', (command) => {
    const [verb, size] = command.toString('latin1').trim().split(' ');
    if (verb === 'GIVE') {
      left += Number(size);
      give();
    } else socket.write('PONG\r\n');
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  parentPort?.postMessage((server.address() as { port: number }).port);
});
