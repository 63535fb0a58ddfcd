/** Finds the journal that a command means, and its key. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { controlDirOf } from '../../control/index.ts';
import { type JournalReaderOptions, loadKeyFile } from '../../journal/index.ts';
import { requireAccess } from '../access.ts';
import type { Core } from '../core.ts';

export const journalInput = {
  dir: z
    .string()
    .min(1)
    .describe(
      'The folder of a journal or of a vault, the name of a configured server, or `control` for the journal of plans.',
    )
    .meta({ value: 'DIR' }),
  keyFile: z
    .string()
    .min(1)
    .optional()
    .describe('Key of an encrypted journal. Default: the one of the configuration, where there is one.')
    .meta({ value: 'FILE' }),
};

/** @throws API_ACCESS_DENIED, JOURNAL_KEY_FILE_INVALID, JOURNAL_KEY_FILE_EXPOSED */
export async function journalPlace(
  core: Core,
  input: { readonly dir: string; readonly keyFile?: string | undefined },
): Promise<JournalReaderOptions & { readonly storage: string }> {
  const keyFile = input.keyFile ?? core.config.journal.encryption?.keyFile;
  return {
    storage: folderOf(core, input.dir),
    ...(keyFile === undefined ? {} : { key: await loadKeyFile(keyFile) }),
  };
}

function folderOf(core: Core, dir: string): string {
  const folder = existsSync(dir) ? resolve(dir) : folderNamed(core, dir);
  requireAccess(folder);
  const inside = join(folder, 'journal');
  requireAccess(inside);
  return existsSync(inside) ? inside : folder;
}

function folderNamed(core: Core, name: string): string {
  if (Object.hasOwn(core.config.servers, name)) return core.vaultDir(name);
  return name === 'control' ? controlDirOf(core.config.dataDir) : resolve(name);
}
