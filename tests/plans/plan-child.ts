/** A process that works on the ledger's plan until it ends or is killed: `DIR SEED run|rollback|commit`. */
import { by, ledgerPlan, openEngine, quiet } from './ledger-world.ts';

const [dir = '', seed = '', mode = ''] = process.argv.slice(2);
const { engine, close } = await openEngine(dir, [ledgerPlan(dir) as never]);
if (mode === 'run') {
  await engine.run({ kind: 'ledger', pair: 'p', parameters: { seed }, by }, quiet);
} else {
  const id = engine.list().at(-1)?.id ?? '';
  if (mode === 'rollback') await engine.rollback(id, { by }, quiet);
  else await engine.commit(id, { by }, quiet);
}
await close();
