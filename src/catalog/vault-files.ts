import { join } from 'node:path';

/** Where the parts of a vault lie in its folder. */
export function vaultFiles(dir: string) {
  return {
    journal: join(dir, 'journal'),
    catalog: join(dir, 'catalog.sqlite'),
    /** A rebuild works here, then renames. */
    rebuilding: join(dir, 'catalog-rebuilding.sqlite'),
    search: join(dir, 'search.sqlite'),
  } as const;
}
