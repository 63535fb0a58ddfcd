/** `eml`: a folder per mailbox, nested as the names are, and in it one `<uid>.eml` per message, bytes as the server served them. */
import { join } from 'node:path';
import { internalDateMs, type MailboxRow } from '../../catalog/index.ts';
import { type ExportFormat, levelsOf, type MailboxExport } from './mailbox-export.ts';
import { SafePaths, safeName } from './safe-names.ts';
import { makeFolder, syncFolder, writeTarget } from './target-file.ts';

export function emlFormat(to: string): ExportFormat {
  const paths = new SafePaths(folderName);
  return {
    notes: [],
    mailbox: async (mailbox: MailboxRow): Promise<MailboxExport> => {
      const dir = join(to, ...paths.components(levelsOf(mailbox)));
      await makeFolder(dir);
      return {
        sequential: false,
        add: (message, body) => {
          const file = join(dir, `${message.uid}.eml`);
          return writeTarget(file, body, `${file}.partial`, internalDateMs(message.date));
        },
        finish: async () => {
          await syncFolder(dir);
          return 'written';
        },
        abandon: async () => {},
      };
    },
    finish: async () => {},
  };
}

/** A mailbox whose name looks like a message's file must not take its place. */
function folderName(level: string): string {
  const name = safeName(level);
  return /\.eml(\.partial)?$/i.test(name) ? name.replace(/\.(?=[^.]*(\.partial)?$)/i, '%2e') : name;
}
