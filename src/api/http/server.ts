/** The HTTP interface of the service: operations, their description, metrics, health, pushed events. */
import swagger from '@fastify/swagger';
import { type FastifyError, fastify } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import type { Config } from '../../config/index.ts';
import { type Clock, type Log, messageOf, UnderstudyError } from '../../lib/index.ts';
import { asOperatingError } from '../defects.ts';
import { apiErrors } from '../errors.ts';
import { httpStatusOf } from '../http-status.ts';
import { allOperations } from '../operations/index.ts';
import type { ServiceThreads } from '../threads.ts';
import { UnprotectedEvents } from '../unprotected.ts';
import { addHealth } from './health.ts';
import { Metrics } from './metrics.ts';
import { addOperations } from './operations.ts';
import { addPush } from './push.ts';

export interface HttpParts {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly token: string;
  readonly threads: ServiceThreads;
  readonly unprotected: UnprotectedEvents;
}

export interface RunningHttp {
  readonly url: string;
  /** Ends operations, lets answers under way go out, closes connections. */
  stop(): Promise<void>;
}

const BODY_BYTES_MAX = 1 << 20;

/** @throws API_ADDRESS_IN_USE */
export async function startHttp(parts: HttpParts): Promise<RunningHttp> {
  const { server, ending } = await buildServer(parts);
  const { host, port } = parts.config.api.listen;
  try {
    await server.listen({ host, port });
  } catch (error) {
    await server.close();
    throw apiErrors.make('API_ADDRESS_IN_USE', `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return {
    url: urlOf(host, (server.server.address() as { port: number }).port),
    async stop() {
      ending.abort(apiErrors.make('API_INTERRUPTED', 'the service stops'));
      await server.close();
    },
  };
}

/** The description alone, made without a service. */
export async function openApiDocument(
  parts: Pick<HttpParts, 'config' | 'log'> & { adapters: { clock: Clock } },
) {
  const nothing = { vaults: new Map(), operate: () => Promise.reject(new Error('describes only')) };
  const { server } = await buildServer({
    ...parts,
    clock: parts.adapters.clock,
    token: '',
    threads: nothing,
    unprotected: new UnprotectedEvents(parts.adapters.clock),
  });
  const document = server.swagger();
  await server.close();
  return document;
}

/** Everything but listening; `ending` aborts the operations under way. */
export async function buildServer(parts: HttpParts) {
  const ending = new AbortController();
  const server = fastify({
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: 'idle',
    // Dovecot and Prometheus keep connections open; a little longer than their own idle limits avoids races.
    keepAliveTimeout: 75_000,
  }).withTypeProvider<ZodTypeProvider>();
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const ours = asRequestError(error);
    if (ours.code === 'API_DEFECT') parts.log.error({ err: error, url: request.url }, ours.message);
    return reply.status(httpStatusOf(ours)).send({ error: ours.toJSON() });
  });
  server.setNotFoundHandler((request) => {
    throw apiErrors.make('API_NOT_FOUND', `there is no ${request.method} ${request.url.split('?')[0]}`);
  });
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Understudy',
        description:
          'Operations of the near-line service. Errors are `{ error: { code, message, remedy, … } }`.',
        version: '1',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: jsonSchemaTransform,
  });

  const metrics = new Metrics(parts.threads);
  await server.register(async (scope) =>
    addOperations(scope.withTypeProvider<ZodTypeProvider>(), await allOperations(), {
      ...parts,
      ending: ending.signal,
    }),
  );
  await server.register(async (scope) => addPush(scope, { ...parts, metrics }));
  await server.register(async (scope) => addHealth(scope, { ...parts, metrics }));
  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  await server.ready();
  return { server, ending };
}

/** What Fastify and zod say about a request, as one of our errors. */
function asRequestError(error: FastifyError): UnderstudyError {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const problems = error.validation.map((issue) => ({
      key: issue.instancePath.split('/').filter(Boolean).join('.'),
      message: issue.message ?? 'is not valid',
    }));
    const first = problems[0];
    const said = first === undefined ? error.message : `${first.key || 'the input'}: ${first.message}`;
    return apiErrors.make('API_INVALID_INPUT', said, { details: { problems } });
  }
  if (error instanceof UnderstudyError) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return apiErrors.make('API_BODY_TOO_LARGE', `the body is larger than ${BODY_BYTES_MAX} bytes`);
  }
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return apiErrors.make('API_BAD_REQUEST', error.message, { cause: error });
  }
  return asOperatingError(error);
}

/** Where a client on this machine reaches it. */
function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
