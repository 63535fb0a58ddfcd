import { z } from 'zod';
import { rebuildCatalog } from '../../catalog/index.ts';
import { loadKeyFile } from '../../journal/index.ts';
import { requireAccess } from '../access.ts';
import { defineOperation } from '../operation.ts';
import { count, lsn, server } from './shapes.ts';

export const catalogRebuild = defineOperation({
  name: 'catalog rebuild',
  permission: 'admin',
  summary: 'Build the catalog of a server anew from its journal. Nothing may write to the vault meanwhile.',
  input: z.strictObject({ server }),
  output: z.object({ server: z.string(), lsn, messages: count }),
  positional: ['server'],
  placement: 'local-only',
  longRunning: true,
  sentence: (input) => `rebuilt the catalog of ${input.server}`,
  async handler(core, input, context) {
    const keyFile = core.config.journal.encryption?.keyFile;
    const dir = core.vaultDir(input.server);
    requireAccess(dir);
    const { appliedLsn, messages } = await rebuildCatalog({
      dir,
      clock: core.clock,
      log: core.log,
      signal: context.signal,
      onProgress: context.progress,
      ...(keyFile === undefined ? {} : { key: await loadKeyFile(keyFile) }),
    });
    return { server: input.server, lsn: appliedLsn, messages };
  },
});
