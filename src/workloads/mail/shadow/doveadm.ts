/** The doveadm HTTP API of a server, where it is configured. */
import { DoveadmClient } from '../doveadm/index.ts';
import type { MailDeps } from '../types.ts';

const clients = new WeakMap<MailDeps, DoveadmClient>();

/** One client per server, so that its connections are reused; undefined where the server has no such API. */
export function doveadmOf(deps: MailDeps): DoveadmClient | undefined {
  const { doveadm } = deps.config;
  if (!doveadm) return undefined;
  let client = clients.get(deps);
  if (!client) {
    client = new DoveadmClient({
      url: doveadm.url,
      apiKey: doveadm.apiKey.reveal(),
      ...(doveadm.ca === undefined ? {} : { caFile: doveadm.ca }),
    });
    clients.set(deps, client);
  }
  return client;
}
