export { shadowOnce, startShadow } from './shadow/index.ts';
export type * from './types.ts';
