/** Another mail server that holds what the replica of a server says: brought up, kept up, compared. */
export { type AddMissingDeps, type AddMissingRequest, addMissing } from './add-missing.ts';
export { anewProblem } from './begin-anew.ts';
export { bringUp, bringUpByCommand } from './bring-up.ts';
export { asSomeAccount, declareFeatures } from './features.ts';
export { type NameRules, nameOnTarget } from './names.ts';
export {
  differencesByStatus,
  namesFor,
  type QuickReport,
  type QuickRequest,
  quickCompare,
  type Rules,
  type Status,
} from './quick.ts';
export { countServed, type MessagesOnce } from './served.ts';
export type * from './types.ts';
export { verifyAgainst } from './verify-against.ts';
export { newestFirst } from './wanted.ts';
