/** Sessions on the server that people are taken off: a door, a directory and a proxy lead new ones elsewhere, and leave open ones alone. */
import type { PlanStep, StepIo } from '../../index.ts';
import { recall, remember, type TakeOver } from '../context.ts';
import { takeOverErrors } from '../errors.ts';
import type { SessionsEnded } from '../ports.ts';

/** A server that is lost must not hold up who waits for the other one. */
const GREETS_WITHIN_MS = 500;
const LOST_WITHIN_MS = 500;
const SICK_WITHIN_MS = 3_000;

/** A failover's: the old server may be there and sick, with people reading and writing on it through proxies that had connected before. */
export const endSessions: PlanStep<TakeOver> = {
  name: 'end-sessions',
  always: true,
  sentence: ({ move }) => `End what sessions ${move.from} still has`,
  isDone: async (_, io) => recall(io, 'sessionsEnded') !== undefined,
  async run(context, io) {
    const { ports, move, fences, parameters } = context;
    const isThere = await ports.answers(move.from, GREETS_WITHIN_MS);
    const ended = await ports.sessions.end(move.from, {
      signal: io.signal,
      withinMs: isThere ? SICK_WITHIN_MS : LOST_WITHIN_MS,
      ...(parameters.accounts === undefined ? {} : { accounts: parameters.accounts }),
    });
    await remember(io, 'sessionsEnded', !('why' in ended));
    if ('why' in ended) {
      const rest =
        fences.length > 0
          ? 'the fence has to'
          : `if it runs, people who were connected work on there: end them by hand (doveadm kick '*'), or stop it`;
      io.note(`${move.from} could not be told to end its sessions (${ended.why}); ${rest}`);
    }
    return outcomeOf(ended);
  },
};

/**
 * Ends them while people wait for the move. Where only the directory keeps people off the old server its sessions would go on, and what is written
 * there would be lost: then it fails, unless there is a reason to go on. @throws TAKEOVER_SESSIONS_GO_ON
 */
export async function endSessionsFirmly(
  { ports, move, rehomes, parameters }: TakeOver,
  io: StepIo,
): Promise<SessionsEnded> {
  const ended = await ports.sessions.end(move.from, {
    signal: io.signal,
    ...(parameters.accounts === undefined ? {} : { accounts: parameters.accounts }),
  });
  if (!('why' in ended)) return ended;
  if (!rehomes.some(({ holds }) => holds) && io.reason === undefined) {
    throw takeOverErrors.make(
      'TAKEOVER_SESSIONS_GO_ON',
      `sessions on ${move.from} cannot be ended, and nothing but the directory keeps people off it: ${ended.why}`,
      { remedy: ended.remedy, details: { server: move.from } },
    );
  }
  io.note(
    `${move.from} could not be told to end its sessions (${ended.why}); who is connected to it otherwise than by the front door works on there: end them by hand`,
  );
  return ended;
}

/** The same for the server that a rollback takes people off again: all of its journal is carried back after, so a note is enough. */
export async function endSessionsOrTell(
  { ports, parameters }: TakeOver,
  server: string,
  io: StepIo,
): Promise<void> {
  const ended = await ports.sessions.end(server, {
    signal: io.signal,
    ...(parameters.accounts === undefined ? {} : { accounts: parameters.accounts }),
  });
  if ('why' in ended) {
    io.note(
      `${server} could not be told to end its sessions (${ended.why}); what is written there from now on stays there: end them by hand`,
    );
  }
}

function outcomeOf(ended: SessionsEnded) {
  if ('why' in ended) return { sessionsEnded: false };
  const { accounts } = ended;
  return { sessionsEnded: true, ...(accounts === undefined ? {} : { accounts: accounts.length }) };
}
