/** Finds the journal that a command means, and its key. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { type JournalReaderOptions, loadKeyFile } from '../../journal/index.ts';
import type { Core } from '../core.ts';

export const journalInput = {
  dir: z
    .string()
    .min(1)
    .describe('The folder of a journal or of a vault, or the name of a configured server.')
    .meta({ value: 'DIR' }),
  keyFile: z
    .string()
    .min(1)
    .optional()
    .describe('Key of an encrypted journal. Default: the one of the configuration, where there is one.')
    .meta({ value: 'FILE' }),
};

/** @throws JOURNAL_KEY_FILE_INVALID, JOURNAL_KEY_FILE_EXPOSED */
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
  const folder =
    Object.hasOwn(core.config.servers, dir) && !existsSync(dir) ? core.vaultDir(dir) : resolve(dir);
  const inside = join(folder, 'journal');
  return existsSync(inside) ? inside : folder;
}
