import type { Outputs } from '../../api/index.ts';
import { counted, visible } from '../../lib/index.ts';

const order = { red: 0, amber: 1, green: 2 } as const;

/** What is red first; a remedy below what needs one. */
export function printCheck(output: Outputs['check']): string {
  const lines: string[] = [];
  for (const { pair, server, findings } of output.checked) {
    const count = (state: keyof typeof order) => findings.filter((each) => each.state === state).length;
    for (const each of [...findings].sort((a, b) => order[a.state] - order[b.state])) {
      lines.push(`${each.state.padEnd(5)}  ${each.title}: ${each.detail}`);
      if (each.remedy !== '') lines.push(`       remedy: ${each.remedy}`);
    }
    lines.push(
      `${pair ?? server}: ${count('red') === 0 ? 'ready' : 'not ready'}; ${counted(count('red'), 'red', 'red')}, ${count('amber')} amber, ${count('green')} green`,
    );
  }
  return `${lines.map(visible).join('\n')}\n`;
}
