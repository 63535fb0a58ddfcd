import type { Outputs } from '../../api/index.ts';

export function printCheckpoint(output: Outputs['checkpoint']): string {
  return `${output.server}: checkpoint ${output.label} at lsn:${output.lsn}, ${output.time}\n`;
}
