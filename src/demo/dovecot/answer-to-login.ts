import { connect } from 'node:net';

export type LoginAnswer = 'OK' | 'NO' | 'BAD';

/** What an IMAP server says to a LOGIN; nothing when it does not listen, does not greet, or is silent for 2 s. May be repeated. */
export function answerToLogin(
  address: string,
  port: number,
  user: string,
  pass: string,
): Promise<LoginAnswer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    let text = '';
    const end = (answer?: LoginAnswer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2_000, () => end());
    socket.on('error', () => end());
    socket.on('close', () => end());
    socket.on('data', (chunk) => {
      const isGreeting = text === '';
      text += chunk.toString('latin1');
      if (isGreeting && text.startsWith('* OK')) socket.write(`a LOGIN ${user} ${pass}\r\n`);
      const answer = /^a (OK|NO|BAD)/m.exec(text);
      if (answer) end(answer[1] as LoginAnswer);
    });
  });
}
