/** Asks the service that runs on the data folder. */
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { apiErrors, type Operation, type OperationContext, pathOf } from '../api/index.ts';
import { messageOf, reviveError, type SerializedError } from '../lib/index.ts';
import type { RunningService } from './running-service.ts';

type Line =
  | { progress: Parameters<OperationContext['progress']>[0] }
  | { result: unknown }
  | { error: SerializedError };

export const NO_SERVICE = Symbol('no service');

/**
 * The operation's result, or `NO_SERVICE` when nobody answers after all.
 * @throws the operation's errors, API_SERVICE_UNREACHABLE
 */
export async function askService(
  service: RunningService,
  operation: Operation,
  input: unknown,
  context: OperationContext,
): Promise<unknown> {
  let response: IncomingMessage;
  try {
    response = await post(
      `${service.url}${pathOf(operation)}`,
      tokenOf(service.dataDir),
      input,
      operation,
      context,
    );
  } catch (error) {
    // A service that was killed leaves its note behind; the vault's lock decides whether we may do the work.
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return NO_SERVICE;
    throw unreachable(service, error);
  }
  const streamed = response.headers['content-type']?.startsWith('application/x-ndjson');
  return streamed ? fromStream(service, response, context) : fromDocument(service, response);
}

function tokenOf(dataDir: string): string {
  const file = join(dataDir, 'api-token');
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw apiErrors.make('API_UNAUTHORIZED', `cannot read the service’s token ${file}: ${messageOf(error)}`, {
      cause: error,
      remedy: 'Run the command as the user that runs the service, or as root.',
    });
  }
}

function post(
  url: string,
  token: string,
  input: unknown,
  operation: Operation,
  { signal, caller }: OperationContext,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: 'POST',
        signal,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          ...(caller === undefined ? {} : { 'understudy-caller': caller }),
          accept: operation.longRunning ? 'application/x-ndjson' : 'application/json',
        },
      },
      resolve,
    );
    outgoing.on('error', reject);
    outgoing.end(JSON.stringify(input));
  });
}

async function fromDocument(service: RunningService, response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { error?: SerializedError };
    if (response.statusCode === 200) return body;
    if (body.error !== undefined) throw reviveError(body.error);
    throw new Error(`status ${response.statusCode}`);
  } catch (error) {
    throw unreachable(service, error);
  }
}

async function fromStream(
  service: RunningService,
  response: IncomingMessage,
  context: OperationContext,
): Promise<unknown> {
  try {
    for await (const text of createInterface({ input: response })) {
      const line = JSON.parse(text) as Line;
      if ('result' in line) return line.result;
      if ('error' in line) throw reviveError(line.error);
      context.progress(line.progress);
    }
    throw new Error('the answer ended early');
  } catch (error) {
    throw unreachable(service, error);
  }
}

/** Our own errors, and an abort of ours, pass unchanged. */
function unreachable(service: RunningService, error: unknown): unknown {
  if (error instanceof Error && (error.name === 'UnderstudyError' || error.name === 'AbortError'))
    return error;
  return apiErrors.make(
    'API_SERVICE_UNREACHABLE',
    `the service at ${service.url} broke off: ${messageOf(error)}`,
    {
      cause: error,
    },
  );
}
