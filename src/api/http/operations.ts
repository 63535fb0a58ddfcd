/** `POST /api/v1/<operation>`: JSON in, JSON out, or a stream of progress for those who ask for one. */
import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Log, Progress } from '../../lib/index.ts';
import { asOperatingError } from '../defects.ts';
import { apiErrors } from '../errors.ts';
import { type Operation, pathOf } from '../operation.ts';
import type { ServiceThreads } from '../threads.ts';

interface Parts {
  readonly token: string;
  readonly threads: ServiceThreads;
  readonly log: Log;
  /** Aborts when the service stops. */
  readonly ending: AbortSignal;
}

/** One line per value. A reader takes lines with `progress` until one has `result` or `error`. */
const NDJSON = 'application/x-ndjson';

const errorAnswer = z.object({
  error: z.object({
    code: z.string(),
    kind: z.string(),
    retry: z.string(),
    message: z.string(),
    remedy: z.string(),
    details: z.record(z.string(), z.unknown()),
  }),
});

export function addOperations(server: FastifyInstance, operations: readonly Operation[], parts: Parts): void {
  server.addHook('onRequest', async (request) => authorize(request, parts.token));
  for (const operation of operations) addOperation(server, operation, parts);
}

function addOperation(server: FastifyInstance, operation: Operation, parts: Parts): void {
  const schema = {
    operationId: operation.name.replaceAll(' ', '-'),
    summary: operation.summary,
    description: `Permission: ${operation.permission}.${operation.longRunning ? ` With \`Accept: ${NDJSON}\` it streams {"progress": …} lines, then one {"result": …} or {"error": …}.` : ''}`,
    security: [{ token: [] }],
    body: operation.input,
    response: { 200: operation.output, '4xx': errorAnswer, '5xx': errorAnswer },
  };
  server.post(pathOf(operation), { schema }, async (request, reply) => {
    // A plan half done because a terminal was closed would help nobody: it goes on.
    const signal =
      operation.placement === 'main' ? parts.ending : AbortSignal.any([parts.ending, closedSignal(reply)]);
    const caller = callerOf(request);
    const run = (progress: (progress: Progress) => void) =>
      parts.threads.operate(operation, request.body, { progress, signal, caller });
    if (operation.longRunning && request.headers.accept?.includes(NDJSON)) {
      return stream(reply, operation, run);
    }
    const result = await run(() => {});
    audit(parts.log, operation, request.body);
    return result;
  });

  async function stream(
    reply: FastifyReply,
    operation: Operation,
    run: (progress: (progress: Progress) => void) => Promise<unknown>,
  ): Promise<void> {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': NDJSON });
    const line = (value: object) => reply.raw.write(`${JSON.stringify(value)}\n`);
    try {
      const result = await run((progress) => line({ progress }));
      audit(parts.log, operation, reply.request.body);
      line({ result: operation.output.parse(result) });
    } catch (error) {
      line({ error: asOperatingError(error).toJSON() });
    } finally {
      reply.raw.end();
    }
  }
}

/** What was done, in the log until there is an audit journal. */
function audit(log: Log, operation: Operation, input: unknown): void {
  if (operation.permission === 'read') return;
  log.info({ operation: operation.name, input }, operation.sentence(input as never));
}

/** What the client says of itself; whoever has the token may say anything. */
function callerOf(request: FastifyRequest): string {
  const said = request.headers['understudy-caller'];
  return typeof said === 'string' && /^[\x21-\x7e]{1,200}$/.test(said) ? said : `http@${request.ip}`;
}

/** Aborts when the client goes away before its answer. */
function closedSignal(reply: FastifyReply): AbortSignal {
  const closed = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) {
      closed.abort(apiErrors.make('API_INTERRUPTED', 'the client went away'));
    }
  });
  return closed.signal;
}

function authorize(request: FastifyRequest, token: string): void {
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (given !== undefined && equalSecrets(given, token)) return;
  throw apiErrors.make(
    'API_UNAUTHORIZED',
    given === undefined ? 'no bearer token' : 'another service’s token',
  );
}

/** Takes the same time wherever the two differ. */
export function equalSecrets(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}
