import { defineErrors } from '../lib/index.ts';

export const controlErrors = defineErrors({
  CONTROL_LOCKED: {
    kind: 'refused',
    retry: 'later',
    summary: 'Another process writes the control journal: a service, or a command that runs a plan.',
    remedy: 'Let it finish, or use the running service; `understudy plan list` shows what is under way',
  },
  CONTROL_UNWRITABLE: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The folder of the control journal cannot be made or written to.',
    remedy: 'Give the user that runs Understudy write access to dataDir, or choose another dataDir',
  },
  CONTROL_STORAGE_FAILED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The lock of the control journal cannot be written: the disk is full or failing.',
    remedy: 'Make space on the file system of dataDir, or repair it, and try again',
  },
  CONTROL_DAMAGED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The control journal holds a record that does not belong there, or whose JSON cannot be read.',
    remedy: 'Run: understudy journal verify DATADIR/control. If it finds nothing, report this with the LSN',
  },
});
