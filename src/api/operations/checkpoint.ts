import { z } from 'zod';
import { apiErrors } from '../errors.ts';
import { defineOperation } from '../operation.ts';
import { lsn, server } from './shapes.ts';

export const checkpoint = defineOperation({
  name: 'checkpoint',
  permission: 'operate',
  summary: 'Name the present state of a replica, so that `--at LABEL` finds it again.',
  input: z.strictObject({
    server,
    label: z
      .string()
      .min(1)
      .max(100)
      .describe('The name: letters, digits, `.`, `_` and `-`, beginning with a letter; not yet used.')
      .meta({ value: 'L' }),
  }),
  output: z.object({ server: z.string(), label: z.string(), lsn, time: z.string() }),
  positional: ['server'],
  placement: 'needs-vault-writer',
  longRunning: false,
  sentence: (input) => `set the checkpoint ${input.label} on ${input.server}`,
  async handler(core, input) {
    if (!/^\p{L}[\p{L}\p{N}._-]*$/u.test(input.label)) {
      throw apiErrors.make('API_LABEL_UNUSABLE', `\`${input.label}\` cannot be a checkpoint label`);
    }
    return core.withVaultWriter(input.server, async (vault) => {
      if (vault.catalog.checkpoints().some((known) => known.label === input.label)) {
        throw apiErrors.make(
          'API_LABEL_UNUSABLE',
          `${input.server} has a checkpoint \`${input.label}\` already`,
        );
      }
      const { lsn, time } = await vault.commit([{ t: 'checkpoint', label: input.label, cause: 'operator' }]);
      return { server: input.server, label: input.label, lsn, time: new Date(time).toISOString() };
    });
  },
});
