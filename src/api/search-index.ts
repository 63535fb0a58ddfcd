/** Brings the search index of a vault up to its journal. */
import type { VaultReader } from '../catalog/index.ts';
import type { Core } from './core.ts';
import type { OperationContext } from './operation.ts';

/** May be repeated, and by several threads at once. `share`: of the time, see `SearchIndex.catchUp`. */
export async function updateSearchIndex(
  core: Core,
  reader: VaultReader,
  context: OperationContext,
  share = 1,
): Promise<void> {
  const { SearchIndex } = await import('../history/index.ts');
  const index = SearchIndex.open(reader.dir, reader.catalog, core.log);
  try {
    const { progress, signal } = context;
    await index.catchUp(reader, { clock: core.clock, onProgress: progress, signal, share });
  } finally {
    index.close();
  }
}
