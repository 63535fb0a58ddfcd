export { restoreMail } from './restore/index.ts';
export { shadowOnce, startShadow } from './shadow/index.ts';
export {
  addMissing,
  bringUp,
  bringUpByCommand,
  declareFeatures,
  quickCompare,
  verifyAgainst,
} from './standby/index.ts';
export type * from './types.ts';
export { verifyMail } from './verify/index.ts';
export { acceptHeld, heldBursts, startWarm } from './warm/index.ts';
