export { controlDirOf } from './control-files.ts';
export { ControlJournal, type ControlJournalOptions, dataOf } from './control-journal.ts';
export { ControlReader, type ControlReaderOptions } from './control-reader.ts';
export { controlErrors } from './errors.ts';
export { actingServer, rolesOf, setRoles } from './roles.ts';
export type { ControlEntry, ControlView, PairRoles } from './types.ts';
