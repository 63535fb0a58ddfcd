export { type Clock, systemClock, TestClock } from './clock.ts';
export { crashPoint } from './crash-points.ts';
export {
  declaredErrors,
  defineErrors,
  type ErrorDeclaration,
  type ErrorKind,
  type ErrorTable,
  hasCode,
  invariant,
  messageOf,
  type RetryPolicy,
  reviveError,
  type SerializedError,
  UnderstudyError,
} from './errors.ts';
export { bytes, counted, duration, number, table, visible } from './human.ts';
export type { JsonValue } from './json.ts';
export { createLog, type Log, silentLog } from './log.ts';
export { makeFolder } from './make-folder.ts';
export { nearest } from './nearest.ts';
export { poison, poisoning } from './poison.ts';
export type { Progress, ProgressListener } from './progress.ts';
export { Random } from './random.ts';
