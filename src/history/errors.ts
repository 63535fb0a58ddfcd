import { defineErrors } from '../lib/index.ts';

export const historyErrors = defineErrors({
  HISTORY_SEARCH_EMPTY: {
    kind: 'usage',
    retry: 'never',
    summary: 'A search has no word in it.',
    remedy: 'Search for words, "exact phrases", or words in one field: subject:invoice from:alice to:bob',
  },
  HISTORY_SEARCH_NOT_READY: {
    kind: 'refused',
    retry: 'later',
    summary: 'There is no search index of this server yet.',
    remedy:
      'The running service builds it in the background; without one, the command line builds it before it searches',
  },
  HISTORY_SEARCH_STORAGE_FAILED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The search index cannot be read or written: disk full or failing.',
    remedy:
      'Make space on the file system of dataDir. The index can be deleted at any time (search.sqlite): it is built anew from the journal',
  },
  HISTORY_PAGE_INVALID: {
    kind: 'usage',
    retry: 'never',
    summary: 'The place to go on from is not one that an earlier page gave.',
    remedy: 'Pass on `next` of the page before as it was, or start again without it',
  },
  HISTORY_EXPORT_TARGET_EXISTS: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'An export would have to overwrite a file that differs; nothing is ever overwritten.',
    remedy:
      'Export to an empty folder, or move the file away. Files exported before and unchanged are skipped',
  },
  HISTORY_EXPORT_STORAGE_FAILED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The target folder of an export cannot be written.',
    remedy: 'Make space, or give write access, and run the same export again: it goes on where it stopped',
  },
});
