/** Sessions of people on a server, by its doveadm API. */
import { type Config, serverNamed } from '../../config/index.ts';
import type { SessionsPort } from '../../plans/mail/index.ts';
import { DoveadmClient } from '../../workloads/mail/doveadm/index.ts';

export function sessionsOf(config: Config): SessionsPort {
  const asking = async <T>(
    server: string,
    ask: (client: DoveadmClient) => Promise<T>,
  ): Promise<T | undefined> => {
    const { doveadm } = serverNamed(config, server);
    if (doveadm === undefined) return undefined;
    const client = new DoveadmClient({
      url: doveadm.url,
      apiKey: doveadm.apiKey.reveal(),
      ...(doveadm.ca === undefined ? {} : { caFile: doveadm.ca }),
    });
    try {
      return await ask(client);
    } finally {
      client.close();
    }
  };
  return {
    who: (server, signal) =>
      asking(server, async (client) => {
        const [result] = await client.run([{ name: 'who', parameters: {} }], signal);
        if (!result?.ok || !Array.isArray(result.rows)) return undefined;
        const rows = result.rows as readonly { readonly username?: string }[];
        return [...new Set(rows.flatMap(({ username }) => (username ? [username] : [])))].sort();
      }),
    kick: async (server, signal, accounts) =>
      (await asking(server, async (client) => {
        // `kick` fails where nobody has a session: that is as good.
        const users = accounts ?? ['*'];
        await client.run([{ name: 'kick', parameters: { mask: users } }], signal);
        return true;
      })) ?? false,
  };
}
