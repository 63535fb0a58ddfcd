import type { MailDeps } from '../types.ts';
import type { Pins } from './mailbox.ts';

export function pinsOf(_deps: MailDeps): Pins | undefined {
  return undefined;
}
