import type { Outputs } from '../../api/index.ts';
import { number, visible } from '../../lib/index.ts';

export function printStandbyAccept({ pair, accepted }: Outputs['standby accept']): string {
  if (accepted.length === 0) return `${pair}: nothing is held\n`;
  return accepted
    .map(
      ({ account, removed, of, before }) =>
        `${visible(`${pair}: ${account}: ${number(removed)} of ${number(of)} messages go; the state just before stays in the journal as ${before}`)}\n`,
    )
    .join('');
}
