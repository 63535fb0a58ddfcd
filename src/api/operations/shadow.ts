import { existsSync } from 'node:fs';
import { z } from 'zod';
import { shadowedServerNamed } from '../../config/index.ts';
import { apiErrors } from '../errors.ts';
import { asFollowed } from '../followed.ts';
import { defineOperation } from '../operation.ts';
import { count, lsn, problems, server } from './shapes.ts';

export const shadow = defineOperation({
  name: 'shadow',
  permission: 'operate',
  summary: 'Bring the journal of a server up to date, then end.',
  input: z.strictObject({
    server,
    once: z
      .boolean()
      .default(false)
      .describe('One pass over all accounts. To follow continuously: understudy run.'),
  }),
  output: z.object({
    server: z.string(),
    lsn,
    accounts: count,
    mailboxes: count,
    messagesAdded: count,
    flagsChanged: count,
    messagesRemoved: count,
    bytesFetched: count,
    problems,
  }),
  positional: ['server'],
  placement: 'needs-vault-writer',
  longRunning: true,
  sentence: (input) => `brought the journal of ${input.server} up to date`,
  outcome: (output) => (output.problems.length > 0 ? 'partial' : 'done'),
  async handler(core, input, context) {
    if (!input.once) throw apiErrors.make('API_SHADOW_NEEDS_ONCE', '`shadow` makes one pass, with --once');
    const { config } = core;
    // One that acted for another has a replica, and mail that came there may still have to be fetched.
    const hasReplica = existsSync(core.vaultDir(input.server));
    shadowedServerNamed(hasReplica ? asFollowed(config, input.server) : config, input.server);
    return { server: input.server, ...(await core.mail.shadowOnce(input.server, context)) };
  },
});
