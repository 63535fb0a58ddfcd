import { defineErrors } from '../lib/index.ts';

export const catalogErrors = defineErrors({
  CATALOG_MISSING: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The vault has a journal but no catalog, and the caller only reads.',
    remedy: 'Run: understudy catalog rebuild SERVER',
  },
  CATALOG_DAMAGED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'SQLite cannot read the catalog.',
    remedy: 'Run: understudy catalog rebuild SERVER (the journal holds everything the catalog knows)',
  },
  CATALOG_SCHEMA_OTHER: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The catalog was written by another version of Understudy, and the caller only reads.',
    remedy: 'Run: understudy catalog rebuild SERVER (a starting service does it by itself)',
  },
  CATALOG_OTHER_JOURNAL: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The catalog beside a journal indexes another journal.',
    remedy:
      'Find out how the two came together (a moved or replaced data folder?). If the journal is the right one, run: understudy catalog rebuild SERVER',
  },
  CATALOG_AHEAD_OF_JOURNAL: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The catalog knows commits that the journal does not hold: committed records were lost.',
    remedy:
      'Do not shadow into this journal. Bring back the missing segment files (backup, other site). If they are lost for good, run: understudy catalog rebuild SERVER',
  },
  CATALOG_BEHIND_JOURNAL: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The catalog lacks the newest commits, no writer is there to add them, and this process cannot.',
    remedy:
      'Make space on the file system of dataDir or of the folder for temporary files, or run as a user who may write to the data folder: understudy catalog rebuild SERVER',
  },
  CATALOG_RECORD_INVALID: {
    kind: 'failed',
    retry: 'never',
    summary: 'A journal record contradicts those before it, so it cannot be indexed.',
    remedy:
      'Run: understudy journal verify DIR. If it finds nothing this is a defect: report it with the LSN',
  },
  CATALOG_STEP_INVALID: {
    kind: 'failed',
    retry: 'never',
    summary: 'A step names a mailbox or a body that the vault does not know; it was not journaled.',
    remedy: 'This is a defect: report it with the message',
  },
  CATALOG_BODY_UNKNOWN: {
    kind: 'failed',
    retry: 'never',
    summary: 'A message body was asked for that the vault does not hold.',
    remedy:
      'Run: understudy catalog rebuild SERVER, and if the body stays away: understudy journal verify DIR',
  },
  CATALOG_VAULT_LOCKED: {
    kind: 'refused',
    retry: 'later',
    summary: 'Another process or thread writes to this vault; two never do.',
    remedy: 'Use the running service, or stop it first',
  },
  CATALOG_VAULT_UNWRITABLE: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The data folder cannot be created or written to.',
    remedy: 'Give the user that runs Understudy write access to dataDir, or choose another dataDir',
  },
  CATALOG_VAULT_MISSING: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'There is no journal of this server yet.',
    remedy: 'Run: understudy shadow SERVER --once',
  },
  CATALOG_STORAGE_FAILED: {
    kind: 'failed',
    retry: 'later',
    summary:
      'SQLite could not write the catalog: the disk is full or failing. The journal holds what was committed.',
    remedy:
      'Make space on the file system of dataDir, or repair it; the catalog is brought up to date by itself then',
  },
  CATALOG_REPLACED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The file of a catalog was removed or replaced while a vault had it open.',
    remedy:
      'Nothing: the service opens the vault again, and what is missing is built from the journal. Leave the files of a vault alone while it is in use',
  },
  CATALOG_BEING_BUILT: {
    kind: 'refused',
    retry: 'later',
    summary: 'The catalog lacks the newest commits, and whoever has the vault is still to add them.',
    remedy: 'Ask again in a while; understudy status shows what the service does with the vault',
  },
  CATALOG_VAULT_STOPPED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The vault was closed, or stopped when a commit failed, and takes no more.',
    remedy: 'Repair what the first error said; the service opens the vault again by itself',
  },
  CATALOG_AT_INVALID: {
    kind: 'usage',
    retry: 'never',
    summary:
      'A point in time is not written as an RFC 3339 time, lsn:N, a checkpoint label or a duration back.',
    remedy: 'Write for example 2026-03-01T09:30:00Z, lsn:1200, before-upgrade, -2h, -90m or -3d',
  },
  CATALOG_AT_BEFORE_FIRST: {
    kind: 'usage',
    retry: 'never',
    summary: 'A point in time lies before the first checkpoint: the whole server was not known yet.',
    remedy: 'Choose a time at or after the first checkpoint',
  },
  CATALOG_AT_IN_FUTURE: {
    kind: 'usage',
    retry: 'never',
    summary: 'A point in time has not happened yet.',
    remedy: 'Choose a time in the past, or leave --at away for the newest state',
  },
  CATALOG_LABEL_UNKNOWN: {
    kind: 'usage',
    retry: 'never',
    summary: 'No checkpoint has this label.',
    remedy: 'Set labels with: understudy checkpoint SERVER --label L',
  },
  CATALOG_ACCOUNT_UNKNOWN: {
    kind: 'usage',
    retry: 'never',
    summary: 'The account was not there at that time.',
    remedy: 'List the accounts with: understudy history SERVER',
  },
  CATALOG_MAILBOX_UNKNOWN: {
    kind: 'usage',
    retry: 'never',
    summary: 'The mailbox was not there at that time.',
    remedy: 'List the mailboxes with: understudy history SERVER --account ACCOUNT',
  },
});
