/**
 * `POST /push/SERVER`: a live server tells what it just changed, and waits for the answer.
 *
 *   hint         204 at once; the event only makes us look sooner
 *   synchronous  200 {"protected": true} after the journal has committed it, or, when that takes longer than
 *                `push.timeout` or fails, 200 {"protected": false}: mail must flow though the near-line side is ill.
 *                Every such case is counted and logged. A change of the mailboxes themselves that LIST does not show yet
 *                gets the same answer, and is counted as a hint: no mail is at stake.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/index.ts';
import type { Clock, Log } from '../../lib/index.ts';
import { asOperatingError } from '../defects.ts';
import { apiErrors } from '../errors.ts';
import type { ServiceThread, ServiceThreads } from '../threads.ts';
import type { UnprotectedEvents } from '../unprotected.ts';
import type { Metrics, PushOutcome } from './metrics.ts';
import { equalSecrets } from './operations.ts';
import { type PushedBody, readPushedEvent } from './pushed-event.ts';

interface Parts {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly threads: ServiceThreads;
  readonly metrics: Metrics;
  readonly unprotected: UnprotectedEvents;
}

export function addPush(server: FastifyInstance, parts: Parts): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  server.post('/push/:server', { schema: { hide: true } }, async (request, reply) => {
    const name = (request.params as { server: string }).server;
    const config = Object.hasOwn(parts.config.servers, name) ? parts.config.servers[name] : undefined;
    const thread = parts.threads.vaults.get(name);
    if (config === undefined || thread === undefined) {
      parts.metrics.countPush('', '', 'unknown-server');
      throw apiErrors.make('API_NOT_FOUND', `no server \`${name}\` is shadowed here`);
    }
    const { mode, timeout, secret } = config.push;
    const count = (outcome: PushOutcome) => parts.metrics.countPush(name, mode, outcome);
    if (secret !== undefined && !equalSecrets(secretGiven(request), secret.reveal())) {
      count('unauthorized');
      throw apiErrors.make('API_UNAUTHORIZED', `the pushed event does not carry the secret of ${name}`, {
        remedy: `Put the URL printed by \`understudy init --print-push ${name}\` into the server’s configuration.`,
      });
    }
    const pushed = readPushedEvent(request.body instanceof Uint8Array ? request.body : new Uint8Array());
    if (pushed === undefined) {
      count('malformed');
      throw apiErrors.make('API_BAD_REQUEST', 'the pushed event names no user');
    }
    if (!pushed.happened) {
      count('ignored');
      return reply.status(204).send();
    }
    const { log, clock, unprotected } = parts;
    const push = { server: name, thread, pushed, timeout, count, log, clock, unprotected };
    return mode === 'hint' ? hint(push, reply) : protect(push, reply);
  });
}

interface Push {
  readonly server: string;
  readonly thread: ServiceThread;
  readonly pushed: PushedBody;
  readonly timeout: number;
  readonly count: (outcome: PushOutcome) => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly unprotected: UnprotectedEvents;
}

function hint(push: Push, reply: FastifyReply): FastifyReply {
  push.count('hinted');
  push.thread.call('push', push.pushed.event).catch((error: unknown) => {
    // A hint that came to nothing costs only time: the sweep finds the change. The engine reports what ails it.
    push.log.debug({ server: push.server, err: error }, 'a hint was not followed');
  });
  return reply.status(204).send();
}

async function protect(push: Push, reply: FastifyReply): Promise<FastifyReply> {
  const timer = new AbortController();
  const followed = push.thread.call('push', push.pushed.event);
  const committed = followed.then(
    (answer) => (answer.committed ? ('protected' as const) : ('hinted' as const)),
    (error: unknown) => asOperatingError(error),
  );
  const late = push.clock.sleep(push.timeout, timer.signal).then(
    () => 'timeout' as const,
    () => 'timeout' as const,
  );
  const ended = await Promise.race([committed, late]);
  timer.abort();
  const outcome = typeof ended === 'string' ? ended : 'error';
  push.count(outcome);
  if (outcome !== 'protected' && outcome !== 'hinted') {
    push.unprotected.note(push.server, push.pushed.event.user, followed);
    push.log.warn(
      {
        server: push.server,
        account: push.pushed.event.user,
        outcome,
        timeoutMs: push.timeout,
        ...(typeof ended === 'string' ? {} : { code: ended.code, err: ended }),
      },
      'the server was let go on before the journal had the change',
    );
  }
  return reply.status(200).send({ protected: outcome === 'protected' });
}

function secretGiven(request: FastifyRequest): string {
  const query = (request.query as { token?: unknown }).token;
  const header = request.headers['x-understudy-token'];
  return typeof query === 'string' ? query : typeof header === 'string' ? header : '';
}
