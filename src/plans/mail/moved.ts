/** Accounts that have moved while the rest of their pair has not: topic `moved`, one entry per change, the newest counts. */
import { type ControlJournal, type ControlView, dataOf } from '../../control/index.ts';
import type { MovedAccounts } from './ports.ts';

const TOPIC = 'moved';

export function movedAccounts(control: ControlView, pair: string): MovedAccounts | undefined {
  let newest: MovedAccounts | undefined;
  for (const entry of control.entries(TOPIC, pair)) newest = dataOf<MovedAccounts>(entry);
  return newest;
}

/** Durable when it resolves; may be repeated. */
export async function setMovedAccounts(journal: ControlJournal, moved: MovedAccounts): Promise<void> {
  await journal.append(TOPIC, moved.pair, moved);
}
