import { connect } from 'node:net';
import { systemClock } from '../../src/lib/index.ts';
import type { ProcessGroup } from './process-group.ts';

/** Resolves to true once an IMAP server lets `user` in, to false when it ended or did not within 20 s. */
export async function letsIn(
  { address, port, user, pass }: { address: string; port: number; user: string; pass: string },
  group: ProcessGroup,
): Promise<boolean> {
  const start = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - start < 20_000) {
    if (group.ended() !== undefined) return false;
    if (await answersOk(address, port, `LOGIN ${user} ${pass}`)) return true;
    await systemClock.sleep(20);
  }
  return false;
}

function answersOk(address: string, port: number, command: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    let text = '';
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2_000, () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
    socket.on('data', (chunk) => {
      const greeted = text !== '';
      text += chunk.toString('latin1');
      if (!greeted) socket.write(`a ${command}\r\n`);
      const answer = /^a (OK|NO|BAD)/m.exec(text);
      if (answer) end(answer[1] === 'OK');
    });
  });
}
