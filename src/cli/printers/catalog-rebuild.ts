import type { Outputs } from '../../api/index.ts';
import { counted } from '../../lib/index.ts';

export function printCatalogRebuild(output: Outputs['catalog rebuild']): string {
  return `${output.server}: the catalog is built anew, up to lsn:${output.lsn}, with ${counted(output.messages, 'message')}\n`;
}
