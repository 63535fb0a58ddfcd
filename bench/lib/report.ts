/** What a bench found: tables and verdicts for a person, or one JSON document; progress goes to stderr. */
import { cpus, loadavg } from 'node:os';

export interface Bar {
  readonly what: string;
  readonly measured: number;
  readonly relation: '≤' | '≥' | '=';
  readonly wanted: number;
  readonly unit: string;
  readonly met: boolean;
}

type Cell = string | number;

export class Report {
  readonly #name: string;
  readonly #json: boolean;
  readonly #figures: Record<string, unknown> = {};
  readonly #bars: Bar[] = [];
  readonly #tables: string[] = [];
  readonly #start = performance.now();
  readonly #loadBefore = loadavg()[0] ?? 0;

  constructor(name: string, options: { readonly json: boolean }) {
    this.#name = name;
    this.#json = options.json;
  }

  /** A line of progress. */
  say(text: string): void {
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(0).padStart(5);
    process.stderr.write(`${seconds} s  ${text}\n`);
  }

  /** `columns[0]` names the rows. */
  table(title: string, columns: readonly string[], rows: readonly (readonly Cell[])[]): void {
    const cells = [columns, ...rows.map((row) => row.map(shown))];
    const widths = columns.map((_, at) => Math.max(...cells.map((row) => (row[at] ?? '').length)));
    const lines = cells.map((row) =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    );
    lines.splice(1, 0, '-'.repeat(widths.reduce((total, width) => total + width + 2, -2)));
    this.#tables.push(`${title}\n${lines.map((line) => `  ${line}`).join('\n')}`);
  }

  /** Something measured, for the JSON document. */
  figure(name: string, value: unknown): void {
    this.#figures[name] = value;
  }

  /** What was promised, and whether it holds. */
  bar(what: string, measured: number, relation: Bar['relation'], wanted: number, unit = ''): void {
    const met =
      relation === '≤' ? measured <= wanted : relation === '≥' ? measured >= wanted : measured === wanted;
    this.#bars.push({ what, measured, relation, wanted, unit, met });
  }

  finish(): void {
    const loadAfter = loadavg()[0] ?? 0;
    const machine = { cpus: cpus().length, loadBefore: this.#loadBefore, loadAfter, node: process.version };
    if (this.#json) {
      const document = { bench: this.#name, machine, bars: this.#bars, ...this.#figures };
      console.log(JSON.stringify(document, undefined, 2));
      return;
    }
    console.log(
      `${this.#name}: ${machine.cpus} CPUs, load ${shown(this.#loadBefore)} before, Node ${process.version}\n`,
    );
    for (const table of this.#tables) console.log(`${table}\n`);
    for (const { met, what, measured, relation, wanted, unit } of this.#bars) {
      console.log(
        `${met ? 'met   ' : 'MISSED'}  ${what}: ${shown(measured)} ${unit} (${relation} ${shown(wanted)})`,
      );
    }
  }
}

/** Three significant digits, thousands apart. */
export function shown(value: Cell): string {
  if (typeof value === 'string') return value;
  if (!Number.isFinite(value)) return '-';
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}
