export { DataDir, type ServiceNote, serviceNote } from './data-dir.ts';
export { type RunningService, startService } from './service.ts';
export { runServiceThread } from './thread.ts';
