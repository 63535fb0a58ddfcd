/** Which server of a pair acts: topic `roles`, one entry per change, the newest counts. */
import { type Config, pairNamed } from '../config/index.ts';
import type { ControlJournal } from './control-journal.ts';
import { dataOf } from './control-journal.ts';
import type { ControlView, PairRoles } from './types.ts';

const TOPIC = 'roles';

/** The roles of a pair as plans have left them; before the first, those of the configuration, with `since` 0 and no plan. @throws CONFIG_UNKNOWN_PAIR */
export function rolesOf(config: Config, view: ControlView, pair: string): PairRoles {
  const { live, standby } = pairNamed(config, pair);
  let roles: PairRoles = { pair, acting: live, former: standby, since: 0, plan: '' };
  for (const entry of view.entries(TOPIC, pair)) {
    const said = dataOf<PairRoles>(entry);
    // A pair that has been given other servers since begins anew.
    const fits = [said.acting, said.former].every((server) => server === live || server === standby);
    if (fits) roles = said;
  }
  return roles;
}

/** The server that has the pair's accounts. @throws CONFIG_UNKNOWN_PAIR */
export function actingServer(config: Config, view: ControlView, pair: string): string {
  return rolesOf(config, view, pair).acting;
}

/** Durable when it resolves; may be repeated. */
export async function setRoles(journal: ControlJournal, roles: PairRoles): Promise<void> {
  await journal.append(TOPIC, roles.pair, roles);
}
