import { defineErrors, messageOf, UnderstudyError } from '../lib/index.ts';

export const journalErrors = defineErrors({
  JOURNAL_NOT_FOUND: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'A journal was to be read where there are no segments.',
    remedy: 'Check the folder; `understudy shadow SERVER --once` makes a first journal.',
  },
  JOURNAL_VERSION_UNKNOWN: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A segment was written by a version of Understudy with another journal format.',
    remedy: 'Use the version of Understudy that wrote this journal, or a newer one.',
  },
  JOURNAL_DAMAGED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'Bytes of a journal that were once safely stored are missing or changed.',
    remedy:
      'Keep the folder as it is, run `understudy journal verify DIR` for the whole extent, and bring the named segment back from a copy.',
  },
  JOURNAL_SEGMENT_MISSING: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'A segment of a journal is not there though later ones are.',
    remedy: 'Bring the missing segment file back from a copy.',
  },
  JOURNAL_SEGMENT_MISPLACED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'A segment file has a name that does not fit its content: renamed, swapped or a second copy.',
    remedy: 'Remove the copy, or give the file the name that its header says.',
  },
  JOURNAL_SEGMENT_FOREIGN: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'A segment file belongs to another journal.',
    remedy: 'Move the named file out of this folder and bring the right one back.',
  },
  JOURNAL_KEY_MISSING: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'The journal is encrypted and no key was given.',
    remedy: 'Name the key file in the configuration or on the command line.',
  },
  JOURNAL_KEY_WRONG: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'The key given is not the one that the journal was written with.',
    remedy: 'Use the key file that was configured when this journal was made.',
  },
  JOURNAL_NOT_ENCRYPTED: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A key was given for writing, but the journal exists already and is not encrypted.',
    remedy: 'Remove the key from the configuration, or start a new vault with it.',
  },
  JOURNAL_KEY_FILE_INVALID: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'A key file cannot be read or does not hold a 32-byte key.',
    remedy:
      'A journal that exists opens with its own key alone: name the right file, or put the copy of it back. For the first journal make one with `openssl rand -hex 32 > FILE && chmod 600 FILE`.',
  },
  JOURNAL_KEY_FILE_EXPOSED: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A key file can be read by others than its owner.',
    remedy: 'Run `chmod 600 FILE`; if others could have read it, start a new vault with a new key.',
  },
  JOURNAL_STORAGE_FULL: {
    kind: 'failed',
    retry: 'later',
    summary:
      'There is no space left (or the quota is reached) for the journal; what was committed before is kept.',
    remedy: 'Make space on the file system of the data folder; writing goes on by itself then.',
  },
  JOURNAL_STORAGE_FAILED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The file system of the journal reported an error; what was committed before is kept.',
    remedy:
      'Look at the kernel log and the health of the disk; writing goes on by itself when it works again.',
  },
  JOURNAL_LSN_UNKNOWN: {
    kind: 'usage',
    retry: 'never',
    summary: 'An LSN was asked for that is not (or not yet) committed in the journal.',
    remedy: 'Ask for an LSN between the first and the last one; `understudy journal info DIR` shows them.',
  },
  JOURNAL_NOT_A_BODY: {
    kind: 'failed',
    retry: 'never',
    summary: 'A body was asked for at an LSN where no body begins.',
    remedy: 'Run `understudy catalog rebuild SERVER`: the catalog does not fit this journal.',
  },
  JOURNAL_CLOSED: {
    kind: 'failed',
    retry: 'never',
    summary: 'A journal was used after it was closed.',
    remedy: 'Open the journal again.',
  },
});

const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Turns what the file system threw into our error; `doing` names the act: `write segment X at offset N`. Ours pass unchanged. */
export function storageError(cause: unknown, doing: string): UnderstudyError {
  if (cause instanceof UnderstudyError) return cause;
  const code = (cause as { code?: unknown } | null)?.code;
  const full = typeof code === 'string' && fullCodes.has(code);
  return journalErrors.make(
    full ? 'JOURNAL_STORAGE_FULL' : 'JOURNAL_STORAGE_FAILED',
    `cannot ${doing}: ${messageOf(cause)}`,
    { cause, details: { doing, ...(typeof code === 'string' ? { systemCode: code } : {}) } },
  );
}
