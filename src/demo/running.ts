/** Everything that runs during the demonstration, for those who act on it. */
import type { Clock } from '../lib/index.ts';
import type { Commands } from './commands.ts';
import type { Dovecot } from './dovecot/index.ts';
import type { Deliveries, MailClient } from './life/index.ts';
import type { NearLine } from './near-line.ts';
import type { Screen } from './screen.ts';

export interface Running {
  readonly screen: Screen;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly commands: Commands;
  readonly dovecot: Dovecot;
  readonly nearLine: NearLine;
  readonly deliveries: Deliveries;
  readonly client: MailClient;
}
