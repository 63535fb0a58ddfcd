/**
 * For orchestrators and monitoring, without a token: nothing here names an account or says what is in the mail.
 *
 * /healthz: the process answers. /readyz: every vault is open, so that pushed events are committed and every
 * operation is served. It does not wait for the first pass: a baseline takes hours, in which the service is already
 * of use, and whoever wants to wait for it reads `understudy_first_pass_done` in /metrics.
 */
import type { FastifyInstance } from 'fastify';
import type { ServiceThreads } from '../threads.ts';
import type { Metrics } from './metrics.ts';

export function addHealth(
  server: FastifyInstance,
  parts: { readonly threads: ServiceThreads; readonly metrics: Metrics },
): void {
  const hidden = { schema: { hide: true } };
  server.get('/healthz', hidden, () => ({ ok: true }));
  server.get('/readyz', hidden, async (_, reply) => {
    const servers = await Promise.all(
      [...parts.threads.vaults].map(async ([server, thread]) => {
        const status = await thread.status();
        return { server, state: status.phase, code: 'problem' in status ? status.problem?.code : undefined };
      }),
    );
    const ready = servers.every((server) => server.state !== 'down');
    return reply.status(ready ? 200 : 503).send({ ready, servers });
  });
  server.get('/metrics', hidden, async (_, reply) => {
    const { contentType, text } = await parts.metrics.render();
    return reply.type(contentType).send(text);
  });
}
