/**
 * What the demonstration tells, on a terminal or into a log. A terminal gets colours (unless NO_COLOR is set) and
 * one line that is written over; a log gets neither, and no control character, whatever a mail's subject holds.
 */
import { type Clock, duration, visible } from '../lib/index.ts';

const ON_TERMINAL_EVERY_MS = 100;
const IN_LOG_EVERY_MS = 2_000;

const styles = { bold: '1', dim: '2', red: '31', green: '32', cyan: '36' } as const;

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export class Screen {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #began: number;
  readonly #terminal: boolean;
  readonly #colours: boolean;
  #steps = 0;
  #shownAt = Number.NEGATIVE_INFINITY;
  #dirty = false;

  constructor(output: Output, clock: Clock, environment: NodeJS.ProcessEnv = process.env) {
    this.#output = output;
    this.#clock = clock;
    this.#began = clock.monotonicMs();
    this.#terminal = output.isTTY === true && environment['TERM'] !== 'dumb';
    this.#colours = this.#terminal && !environment['NO_COLOR'];
  }

  /** Time since the demonstration began. */
  get elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#began;
  }

  /** The headline of the next step, with the time that has passed. */
  step(sentence: string): void {
    this.#steps += 1;
    const at = `[${duration(this.elapsedMs).padStart(6)}]`;
    this.#write(
      `\n${this.#style('dim', at)} ${this.#style('bold', `${this.#steps}. ${visible(sentence)}`)}\n`,
    );
  }

  line(text = ''): void {
    this.#write(`${visible(text)}\n`);
  }

  /** A sentence below the headline. */
  note(text: string): void {
    this.#write(`  ${visible(text)}\n`);
  }

  good(text: string): void {
    this.#write(`  ${this.#style('green', visible(text))}\n`);
  }

  bad(text: string): void {
    this.#write(`  ${this.#style('red', visible(text))}\n`);
  }

  /** A command that is about to be run, as somebody would type it. */
  command(text: string): void {
    this.#write(`  ${this.#style('cyan', `$ ${visible(text)}`)}\n`);
  }

  /** What a command printed. */
  printed(text: string): void {
    for (const line of text.trimEnd().split('\n'))
      this.#write(`  ${this.#style('dim', `| ${visible(line)}`)}\n`);
  }

  /** Lines as they are, such as a table. */
  block(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.#write(`  ${visible(line)}\n`);
  }

  /** How far it is: written over on a terminal, a line now and then in a log. */
  progress(text: string): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#shownAt < (this.#terminal ? ON_TERMINAL_EVERY_MS : IN_LOG_EVERY_MS)) return;
    this.#shownAt = now;
    if (!this.#terminal) {
      this.note(text);
      return;
    }
    this.#output.write(`\r\x1b[2K  ${visible(text).slice(0, (this.#output.columns || 100) - 3)}`);
    this.#dirty = true;
  }

  #write(text: string): void {
    if (this.#dirty) this.#output.write('\r\x1b[2K');
    this.#dirty = false;
    this.#output.write(text);
  }

  #style(style: keyof typeof styles, text: string): string {
    return this.#colours ? `\x1b[${styles[style]}m${text}\x1b[0m` : text;
  }
}
